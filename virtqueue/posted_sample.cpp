// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/posted_sample.hpp"

#include <algorithm>

#include "virtqueue/ring.hpp"

namespace vhostx::virtqueue {
namespace {

/// The larger of the first two buffers of a chain. That is the packet, as a net header is small.
class ChainStart {
 public:
  ChainStart(const RingLayout& layout, const memory::GuestMemory& memory) noexcept : layout_(layout), memory_(memory) {}

  const std::uint8_t* buffer_of(std::uint16_t head) noexcept {
    const Descriptor first = layout_.descriptor(head).unpack();
    if ((first.flags & Descriptor::indirect_flag) != 0) return in_table(first);
    Descriptor second;
    if ((first.flags & Descriptor::next_flag) != 0 && first.next < layout_.size)
      second = layout_.descriptor(first.next).unpack();
    return larger(first, second);
  }

 private:
  const std::uint8_t* in_table(const Descriptor& table) noexcept {
    const Descriptor first = in_table(table, 0);
    Descriptor second;
    if ((first.flags & Descriptor::next_flag) != 0) second = in_table(table, first.next);
    return larger(first, second);
  }

  Descriptor in_table(const Descriptor& table, std::uint32_t entry) noexcept {
    if (entry >= table.length / sizeof(Descriptor)) return {};
    const auto span = memory_.translate({table.address + entry * sizeof(Descriptor)}, sizeof(Descriptor), table_hint_);
    return span ? load_descriptor(span.data).unpack() : Descriptor{};
  }

  const std::uint8_t* larger(const Descriptor& first, const Descriptor& second) noexcept {
    const Descriptor& chosen = second.length > first.length ? second : first;
    const memory::HostSpan span = memory_.translate_prefix({chosen.address}, chosen.length, hint_);
    return span.size == 0 ? nullptr : span.data;
  }

  const RingLayout& layout_;
  const memory::GuestMemory& memory_;
  memory::GuestMemory::Hint hint_;
  memory::GuestMemory::Hint table_hint_;
};

}  // namespace

std::size_t sample_posted(const RingLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept {
  const std::uint16_t next = layout.avail.index_acquire();
  // Before its first round a ring has entries that were never written. An index that has just wrapped makes one sample
  // smaller.
  const std::uint32_t posted = std::min<std::uint32_t>(next, layout.size);
  // Bounds the chains looked at: a ring full of invalid ones could each point to pages that were never touched.
  const auto looked_at = static_cast<std::uint32_t>(std::min<std::size_t>(posted, 4 * out.size()));
  ChainStart chain(layout, memory);
  std::size_t count = 0;
  for (std::uint32_t back = 1; back <= looked_at && count < out.size(); ++back) {
    const std::uint16_t head = layout.avail.entry(layout.slot(static_cast<std::uint16_t>(next - back)));
    if (head >= layout.size) continue;
    if (const auto* at = chain.buffer_of(head); at != nullptr) out[count++] = at;
  }
  return count;
}

namespace {

/// The first buffer of what begins at an entry of a packed ring, or of its indirect table; null: none.
const std::uint8_t* buffer_at(const PackedLayout& layout, const memory::GuestMemory& memory, std::uint32_t index) {
  PackedDescriptor read = layout.table.load(index);
  if (read.address == 0 && read.rest == 0) return nullptr;
  memory::GuestMemory::Hint hint;
  if ((read.flags() & Descriptor::indirect_flag) != 0) {
    const memory::HostSpan table = memory.translate({read.address}, PackedTable::entry_bytes, hint);
    if (!table) return nullptr;
    read = {load_descriptor(table.data)};
  }
  return memory.translate_prefix({read.address}, 1, hint).data;
}

std::size_t sample_packed(const PackedLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept {
  const auto looked_at = static_cast<std::uint32_t>(std::min<std::size_t>(layout.size, 4 * out.size()));
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < looked_at && count < out.size(); ++i) {
    const auto* const at =
        buffer_at(layout, memory, static_cast<std::uint32_t>(std::uint64_t{i} * layout.size / looked_at));
    if (at != nullptr) out[count++] = at;
  }
  return count;
}

}  // namespace

std::size_t sample_posted(const AnyLayout& layout, const memory::GuestMemory& memory,
                          std::span<const std::uint8_t*> out) noexcept {
  return layout.kind == RingKind::split ? sample_posted(layout.split, memory, out)
                                        : sample_packed(layout.packed, memory, out);
}

}  // namespace vhostx::virtqueue
