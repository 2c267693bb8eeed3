// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/split_driver.hpp"

namespace vhostx::tools {

using virtqueue::AvailRing;
using virtqueue::Descriptor;
using virtqueue::UsedRing;

namespace {

constexpr std::size_t page = 4096;
constexpr std::uint32_t no_chain = UINT32_MAX;

/// Header and body in a descriptor each, of which the first leads to entry `next`.
void write_pair(Descriptor* table, std::uint16_t next, const DriverChains& chains, std::uint16_t chain,
                std::uint32_t bytes) noexcept {
  const std::uint64_t guest = chains.buffers[chain].guest;
  const std::uint32_t header = chains.options.net_header_bytes;
  const std::uint16_t flags = chains.flags();
  table[0] = {guest, header, static_cast<std::uint16_t>(flags | Descriptor::next_flag), next};
  table[1] = {guest + header, bytes - header, flags, 0};
}

}  // namespace

std::size_t SplitDriver::area_bytes(const DriverRingOptions& options) noexcept {
  return 3 * page + options.size * sizeof(Descriptor) + AvailRing::extent(options.size, true) +
         UsedRing::extent(options.size, true);
}

std::size_t SplitDriver::area_bytes_max(const DriverRingOptions& options) noexcept {
  return options.size * sizeof(Descriptor);
}

void SplitDriver::lay_out(SharedMemory& memory, const DriverRingOptions& options) {
  size_ = options.size;
  mask_ = static_cast<std::uint16_t>(size_ - 1);
  entries_ = DriverChains::entries(options.layout);
  event_idx_ = options.event_idx;
  descriptors_ = reinterpret_cast<Descriptor*>(memory.allocate(size_ * sizeof(Descriptor), page).at);
  avail_ = reinterpret_cast<std::uint16_t*>(memory.allocate(AvailRing::extent(size_, true), page).at);
  used_ = reinterpret_cast<std::uint16_t*>(memory.allocate(UsedRing::extent(size_, true), page).at);
  used_elements_ = reinterpret_cast<const Used*>(used_ + 2);
  offered_.resize(size_, no_chain);
  restart_at(options.first_index.value_or(0));
}

void SplitDriver::restart_at(std::uint16_t index) noexcept {
  avail_index_ = published_ = notified_ = used_seen_ = used_known_ = index;
  __atomic_store_n(avail_ + 1, index, __ATOMIC_RELAXED);
  __atomic_store_n(used_ + 1, index, __ATOMIC_RELEASE);
}

protocol::VringAddress SplitDriver::addresses(std::uint32_t vring) const noexcept {
  return {vring,
          0,
          reinterpret_cast<std::uint64_t>(descriptors_),
          reinterpret_cast<std::uint64_t>(used_),
          reinterpret_cast<std::uint64_t>(avail_),
          0};
}

void SplitDriver::describe(DriverChains& chains, std::uint16_t chain, std::uint32_t bytes) noexcept {
  const ChainLayout layout = chains.options.layout;
  if (layout == ChainLayout::one) {
    descriptors_[chain] = {chains.buffers[chain].guest, bytes, chains.flags(), 0};
  } else if (layout == ChainLayout::two) {
    const auto head = static_cast<std::uint16_t>(2 * chain);
    write_pair(descriptors_ + head, static_cast<std::uint16_t>(head + 1), chains, chain, bytes);
  } else {
    const SharedMemory::Piece& table = chains.tables[chain];
    write_pair(reinterpret_cast<Descriptor*>(table.at), 1, chains, chain, bytes);
    descriptors_[chain] = {table.guest, DriverChains::table_bytes, Descriptor::indirect_flag, 0};
  }
  if (!chains.options.rewrite) chains.described[chain] = bytes;
}

void SplitDriver::offer(unsigned slot, std::uint16_t chain, bool rewrite) noexcept {
  avail_[2 + slot] = static_cast<std::uint16_t>(entries_ * chain);
  if (!rewrite) offered_[slot] = chain;
}

bool SplitDriver::wants_kick() noexcept {
  virtqueue::full_fence();  // pairs with the device's between its wish to be kicked and its look at avail->idx
  const bool wanted =
      event_idx_ ? virtqueue::event_passed(__atomic_load_n(used_ + 2 + 4 * std::size_t{size_}, __ATOMIC_RELAXED),
                                           published_, notified_)
                 : (__atomic_load_n(used_, __ATOMIC_RELAXED) & UsedRing::no_notify_flag) == 0;
  notified_ = published_;
  return wanted;
}

void SplitDriver::want_calls(bool wanted) noexcept {
  if (event_idx_) {
    set_used_event(wanted ? 0 : 0x8000);
  } else {
    __atomic_store_n(avail_, wanted ? std::uint16_t{0} : AvailRing::no_interrupt_flag, __ATOMIC_RELAXED);
  }
  virtqueue::full_fence();  // pairs with the device's between its store of used->idx and its look at our wish
}

}  // namespace vhostx::tools
