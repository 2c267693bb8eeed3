// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/chain_walker.hpp"

#include <array>
#include <cstring>

#include "memory/load_hook.hpp"

namespace vhostx::virtqueue {

using memory::GuestAddress;
using memory::HostSpan;

template <Direction direction, typename Layout>
auto ChainWalker<direction, Layout>::next(Span& span) noexcept -> Step {
  for (;;) {
    if (!opened_) {
      if (!open_descriptor()) return Step::invalid;
      opened_ = true;
    }
    if (current_.length != 0) {
      const HostSpan found = memory_.translate_prefix(GuestAddress{current_.address}, current_.length, hint_);
      if (!found) {
        fail(VringFaultCause::outside_memory, current_.address, current_.length);
        return Step::invalid;
      }
      if constexpr (direction == Direction::readable)
        span = found;
      else
        span = {found, {current_.address}};
      current_.address += found.size;
      current_.length -= static_cast<std::uint32_t>(found.size);
      meter_.count_piece(found.data, found.size, hint_.page_shift);
      if (current_.length != 0) [[unlikely]]
        meter_.count_descriptor();  // cut at a border of regions: counts as one more descriptor
      return Step::buffer;
    }
    if ((current_.flags & Descriptor::next_flag) == 0) return Step::end;
    if (!follow_next()) return Step::invalid;
    opened_ = false;
  }
}

// Checks current_; steps into an indirect table.
template <Direction direction, typename Layout>
bool ChainWalker<direction, Layout>::open_descriptor() noexcept {
  meter_.count_descriptor();
  if (links_.is_endless()) walked_ = layout_.size;
  if (++walked_ > layout_.size) return fail(VringFaultCause::chain_too_long, walked_, layout_.size);
  if (!in_table_) ++ring_entries_;
  if ((current_.flags & Descriptor::indirect_flag) != 0 && !open_indirect()) return false;
  const bool writable = (current_.flags & Descriptor::write_flag) != 0;
  if (writable != (direction == Direction::writable))
    return fail(VringFaultCause::wrong_direction, current_.address, current_.flags);
  return true;
}

// VIRTIO 1.2, 2.7.5.3: no nesting, no NEXT beside INDIRECT (so a table is always last), a whole number of descriptors.
template <Direction direction, typename Layout>
bool ChainWalker<direction, Layout>::open_indirect() noexcept {
  if (!layout_.features.indirect) return fail(VringFaultCause::indirect_unsupported, current_.address, current_.length);
  const bool whole = current_.length != 0 && current_.length % sizeof(Descriptor) == 0;
  if (in_table_ || !whole || (current_.flags & Descriptor::next_flag) != 0)
    return fail(VringFaultCause::bad_indirect, current_.length, current_.flags);
  in_table_ = true;
  table_ = current_.address;
  table_length_ = current_.length / static_cast<std::uint32_t>(sizeof(Descriptor));
  if (!load_from_table(0)) return false;
  if ((current_.flags & Descriptor::indirect_flag) != 0)
    return fail(VringFaultCause::bad_indirect, current_.length, current_.flags);
  return true;
}

template <Direction direction, typename Layout>
bool ChainWalker<direction, Layout>::follow_next() noexcept {
  const std::uint16_t next = current_.next;
  const std::uint32_t bound = in_table_ ? table_length_ : layout_.size;
  if (next >= bound) return fail(VringFaultCause::bad_next, next, bound);
  if (in_table_) return load_from_table(next);
  current_ = links_.load(layout_, next);
  return true;
}

// A table may cross a border of regions, and so may one of its descriptors.
template <Direction direction, typename Layout>
bool ChainWalker<direction, Layout>::load_from_table(std::uint64_t entry) noexcept {
  const std::uint64_t address = table_ + entry * sizeof(Descriptor);
  HostSpan span = memory_.translate_prefix(GuestAddress{address}, sizeof(Descriptor), table_hint_);
  if (span.size == sizeof(Descriptor)) [[likely]] {
    meter_.touch(span.data, table_hint_.page_shift);
    current_ = links_.template in_table<direction>({load_descriptor(span.data)}, entry, table_length_);
    return true;
  }
  std::array<std::uint8_t, sizeof(Descriptor)> gathered{};
  for (std::size_t have = 0; have < gathered.size(); have += span.size) {
    span = memory_.translate_prefix(GuestAddress{address + have}, gathered.size() - have, table_hint_);
    if (!span) return fail(VringFaultCause::outside_memory, address, sizeof(Descriptor));
    std::memcpy(gathered.data() + have, span.data, span.size);
    memory::loaded(span.data, span.size);
  }
  current_ = links_.template in_table<direction>({load_descriptor(gathered.data())}, entry, table_length_);
  return true;
}

template <Direction direction, typename Layout>
bool ChainWalker<direction, Layout>::fail(VringFaultCause cause, std::uint64_t a, std::uint64_t b) noexcept {
  fault_.cause = cause;
  fault_.a = a;
  fault_.b = b;
  return false;
}

template class ChainWalker<Direction::readable>;
template class ChainWalker<Direction::writable>;
template class ChainWalker<Direction::readable, PackedLayout>;
template class ChainWalker<Direction::writable, PackedLayout>;

}  // namespace vhostx::virtqueue
