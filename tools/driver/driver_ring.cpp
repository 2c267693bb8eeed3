// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/driver_ring.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

using virtqueue::AvailRing;
using virtqueue::Descriptor;
using virtqueue::UsedRing;

constexpr std::size_t line = 64;
constexpr std::size_t lead = line - 12;  // so that what follows the header begins a line
constexpr std::size_t page = 4096;
constexpr std::uint32_t no_chain = UINT32_MAX;
constexpr std::size_t table_bytes = 2 * sizeof(Descriptor);

std::uint16_t chains_of(const DriverRingOptions& options) noexcept {
  return options.layout == ChainLayout::two ? options.size / 2 : options.size;
}

std::size_t stride_of(const DriverRingOptions& options) noexcept {
  return (options.buffer_bytes + line - 1) / line * line;
}

}  // namespace

std::size_t DriverRing::memory_bytes(const DriverRingOptions& options) noexcept {
  const std::size_t areas = 3 * page + options.size * sizeof(Descriptor) + AvailRing::extent(options.size, true) +
                            UsedRing::extent(options.size, true);
  return areas + chains_of(options) * (stride_of(options) + table_bytes) + 2 * line;
}

std::size_t DriverRing::piece_bytes_max(const DriverRingOptions& options) noexcept {
  return std::max(stride_of(options) + 2 * line, options.size * sizeof(Descriptor));
}

Result<DriverRing> DriverRing::create(SharedMemory& memory, const DriverRingOptions& options) {
  DriverRing ring(options);
  auto kick = EventFd::create();
  if (!kick) return kick.error();
  auto call = EventFd::create();
  if (!call) return call.error();
  ring.kick_ = *std::move(kick);
  ring.call_ = *std::move(call);
  ring.lay_out(memory);
  ring.restart_at(options.first_index);
  ring.want_calls(false);
  return ring;
}

void DriverRing::lay_out(SharedMemory& memory) {
  const std::size_t size = options_.size;
  flags_ = options_.device_writes ? Descriptor::write_flag : 0;
  descriptors_ = reinterpret_cast<Descriptor*>(memory.allocate(size * sizeof(Descriptor), page).at);
  avail_ = reinterpret_cast<std::uint16_t*>(memory.allocate(AvailRing::extent(options_.size, true), page).at);
  used_ = reinterpret_cast<std::uint16_t*>(memory.allocate(UsedRing::extent(options_.size, true), page).at);
  used_elements_ = reinterpret_cast<const UsedElement*>(used_ + 2);
  const std::uint16_t chains = chains_of(options_);
  out_.resize(chains);
  described_.resize(chains);
  offered_.resize(size, no_chain);
  for (std::uint16_t i = 0; i < chains; ++i) {
    if (options_.layout == ChainLayout::indirect) tables_.push_back(memory.allocate(table_bytes, sizeof(Descriptor)));
  }
  for (std::uint16_t i = 0; i < chains; ++i) {
    const auto piece = memory.allocate(stride_of(options_), line);
    buffers_.push_back({piece.at + lead, piece.guest + lead});
  }
  memory.allocate(line, line);  // the last buffer reaches as far beyond its place as it begins behind it
}

void DriverRing::restart_at(std::uint16_t index) noexcept {
  avail_index_ = published_ = notified_ = used_seen_ = used_known_ = index;
  std::fill(out_.begin(), out_.end(), std::uint8_t{0});
  out_count_ = 0;
  __atomic_store_n(avail_ + 1, index, __ATOMIC_RELAXED);
  __atomic_store_n(used_ + 1, index, __ATOMIC_RELEASE);
}

protocol::VringAddress DriverRing::addresses(std::uint32_t vring) const noexcept {
  return {vring,
          0,
          reinterpret_cast<std::uint64_t>(descriptors_),
          reinterpret_cast<std::uint64_t>(used_),
          reinterpret_cast<std::uint64_t>(avail_),
          0};
}

void DriverRing::write_pair(Descriptor* table, std::uint16_t next, std::uint64_t guest, std::uint32_t bytes) noexcept {
  const auto chained = static_cast<std::uint16_t>(flags_ | Descriptor::next_flag);
  table[0] = {guest, options_.net_header_bytes, chained, next};
  table[1] = {guest + options_.net_header_bytes, bytes - options_.net_header_bytes, flags_, 0};
}

void DriverRing::describe(std::uint16_t chain, std::uint32_t bytes) noexcept {
  const std::uint64_t guest = buffers_[chain].guest;
  if (options_.layout == ChainLayout::one) {
    descriptors_[chain] = {guest, bytes, flags_, 0};
  } else if (options_.layout == ChainLayout::two) {
    const auto head = static_cast<std::uint16_t>(2 * chain);
    write_pair(descriptors_ + head, static_cast<std::uint16_t>(head + 1), guest, bytes);
  } else {
    write_pair(reinterpret_cast<Descriptor*>(tables_[chain].at), 1, guest, bytes);
    descriptors_[chain] = {tables_[chain].guest, table_bytes, Descriptor::indirect_flag, 0};
  }
  if (!options_.rewrite) described_[chain] = bytes;
}

void DriverRing::offer(unsigned slot, std::uint16_t chain) noexcept {
  avail_[2 + slot] = options_.layout == ChainLayout::two ? static_cast<std::uint16_t>(2 * chain) : chain;
  if (!options_.rewrite) offered_[slot] = chain;
}

void DriverRing::notify_published() noexcept {
  virtqueue::full_fence();  // pairs with the device's between its wish to be kicked and its look at avail->idx
  const bool wanted =
      options_.event_idx
          ? virtqueue::event_passed(__atomic_load_n(used_ + 2 + 4 * std::size_t{options_.size}, __ATOMIC_RELAXED),
                                    published_, notified_)
          : (__atomic_load_n(used_, __ATOMIC_RELAXED) & UsedRing::no_notify_flag) == 0;
  notified_ = published_;
  if (!wanted) return;
  ++kicks_;
  kick_.signal();
}

bool DriverRing::want_calls(bool wanted) noexcept {
  calls_wanted_ = wanted;
  if (options_.event_idx) {
    set_used_event(wanted ? 0 : 0x8000);
  } else {
    __atomic_store_n(avail_, wanted ? std::uint16_t{0} : AvailRing::no_interrupt_flag, __ATOMIC_RELAXED);
  }
  virtqueue::full_fence();  // pairs with the device's between its store of used->idx and its look at our wish
  return used_waiting() != 0;
}

std::string DriverRing::fault() const {
  if (faults_ == 0) return {};
  return fmt::format("{} used buffers that were not with the back-end (the first: id {})", faults_, first_bad_head_);
}

}  // namespace vhostx::tools
