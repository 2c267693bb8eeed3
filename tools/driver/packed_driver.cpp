// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/packed_driver.hpp"

namespace vhostx::tools {

using virtqueue::NoMarks;
using virtqueue::PackedEvent;
using virtqueue::PackedPosition;

namespace {

constexpr std::size_t log_page = 4096;

}  // namespace

std::size_t PackedDriver::area_bytes(const DriverRingOptions& options) noexcept {
  return 3 * log_page + options.size * sizeof(Entry) + 2 * PackedEvent::bytes;
}

std::size_t PackedDriver::area_bytes_max(const DriverRingOptions& options) noexcept {
  return options.size * sizeof(Entry);
}

// Each on a page of its own, as a split ring's areas are: a dirty log tells them apart.
void PackedDriver::lay_out(SharedMemory& memory, const DriverRingOptions& options) {
  size_ = options.size;
  layout_ = options.layout;
  entries_ = DriverChains::entries(options.layout);
  event_idx_ = options.event_idx;
  table_ = reinterpret_cast<Entry*>(memory.allocate(size_ * sizeof(Entry), log_page).at);
  driver_ = PackedEvent(memory.allocate(PackedEvent::bytes, log_page).at);
  device_ = PackedEvent(memory.allocate(PackedEvent::bytes, log_page).at);
  restart_at(options.first_index.value_or(PackedPosition{}.value));
}

void PackedDriver::restart_at(std::uint16_t place) noexcept {
  next_ = published_ = notified_ = used_seen_ = {place};
  known_ = 0;
  news_ = 0;
  has_first_ = false;
  const PackedPosition lap_before{static_cast<std::uint16_t>(place ^ PackedPosition::wrap_bit)};
  for (std::uint32_t i = 0; i < size_; ++i) {
    const std::uint64_t flags = (i < next_.index() ? next_ : lap_before).used();
    __atomic_store_n(&table_[i].rest, flags << 48, __ATOMIC_RELEASE);
  }
}

protocol::VringAddress PackedDriver::addresses(std::uint32_t vring) const noexcept {
  return {vring,
          0,
          reinterpret_cast<std::uint64_t>(table_),
          reinterpret_cast<std::uint64_t>(device_.begin()),
          reinterpret_cast<std::uint64_t>(driver_.begin()),
          0};
}

/// An indirect table: no NEXT, and no id (2.8.7).
void PackedDriver::describe(DriverChains& chains, std::uint16_t chain, std::uint32_t bytes) noexcept {
  const std::uint64_t guest = chains.buffers[chain].guest;
  const std::uint32_t header = chains.options.net_header_bytes;
  const std::uint64_t flags = std::uint64_t{chains.flags()} << 48;
  auto* const table = reinterpret_cast<Entry*>(chains.tables[chain].at);
  table[0] = {guest, header | flags};
  table[1] = {guest + header, (bytes - header) | flags};
  if (!chains.options.rewrite) chains.described[chain] = bytes;
}

void PackedDriver::look(std::uint16_t most) noexcept {
  constexpr std::uint64_t both = std::uint64_t{virtqueue::packed_avail_flag | virtqueue::packed_used_flag} << 48;
  const PackedPosition begin = used_seen_.after(std::uint32_t{known_} * entries_, size_);
  std::uint32_t index = begin.index();
  std::uint64_t used = std::uint64_t{begin.used()} << 48;
  std::uint32_t known = known_;
  for (; known < most; ++known) {
    if ((__atomic_load_n(&table_[index].rest, __ATOMIC_ACQUIRE) & both) != used) break;
    index += entries_;
    if (index < size_) [[likely]]
      continue;
    index -= size_;
    used ^= both;
  }
  known_ = static_cast<std::uint16_t>(known);
}

bool PackedDriver::wants_kick() noexcept {
  virtqueue::full_fence();  // pairs with the device's between its wish to be kicked and its look at the next flags
  const PackedEvent::Value wish = device_.load();
  const bool passed = news_ >= size_ || wish.place.since(notified_, size_) < news_;
  notified_ = published_;
  news_ = 0;
  return wish.flags == PackedEvent::at_place ? passed : wish.flags != PackedEvent::disable;
}

void PackedDriver::want_calls(bool wanted) noexcept {
  const auto flags = event_idx_ ? PackedEvent::at_place : PackedEvent::enable;
  driver_.store(NoMarks(), {used_seen_, wanted ? flags : PackedEvent::disable});
  virtqueue::full_fence();  // pairs with the device's between its used flags and its look at our wish
}

}  // namespace vhostx::tools
