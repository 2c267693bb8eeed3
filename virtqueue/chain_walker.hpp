// SPDX-License-Identifier: BSD-3-Clause
// ChainWalker: one descriptor chain, buffer by buffer (VIRTIO 1.2, 2.7.5 and 2.8.5).
#pragma once

#include <cstdint>
#include <type_traits>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/packed_layout.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

/// How the descriptors of a chain are linked, and where they are: in a split ring by their `next`.
class SplitLinks {
 public:
  explicit SplitLinks(const Chain&) noexcept {}

  static Descriptor first(const RingLayout&, const Chain& chain) noexcept { return chain.first.unpack(); }
  static Descriptor load(const RingLayout& layout, std::uint16_t next) noexcept {
    return layout.descriptor(next).unpack();
  }
  template <Direction>
  static Descriptor in_table(const RawDescriptor& read, std::uint64_t, std::uint32_t) noexcept {
    return read.unpack();
  }
  static bool is_endless() noexcept { return false; }
  static Chain chain(std::uint16_t id, std::uint32_t walked) noexcept { return {.id = id, .entries = walked}; }
};

/// In a packed ring one after the other: here they get a `next` that says so. How long a chain is was read when it was
/// taken; the rest of each descriptor is read now.
class PackedLinks {
 public:
  explicit PackedLinks(const Chain& chain) noexcept : at_(chain.at), entries_(chain.entries), left_(entries_) {}

  Descriptor first(const PackedLayout& layout, const Chain& chain) noexcept {
    return link({chain.first}, chain.at, layout.size);
  }
  Descriptor load(const PackedLayout& layout, std::uint16_t next) noexcept {
    return link(layout.table.load(next), next, layout.size);
  }
  /// The flags of what a driver sends by a table need not be true: DPDK's (virtio-user) marks the first entry as one to
  /// write, and leaves entry N alone where the chain is in entry N of the ring. VIRTIO 1.2 says that a device should
  /// not read a buffer that it may write, and does not forbid it.
  template <Direction direction>
  static Descriptor in_table(const PackedDescriptor& read, std::uint64_t entry, std::uint32_t length) noexcept {
    Descriptor one = unpack(read, entry + 1 < length, entry + 1);
    if constexpr (direction == Direction::readable) one.flags &= Descriptor::next_flag | Descriptor::indirect_flag;
    return one;
  }
  bool is_endless() const noexcept { return entries_ == 0; }
  Chain chain(std::uint16_t id, std::uint32_t) const noexcept { return {.id = id, .at = at_, .entries = entries_}; }

 private:
  Descriptor link(const PackedDescriptor& read, std::uint32_t index, std::uint32_t size) noexcept {
    --left_;
    return unpack(read, left_ != 0, index + 1 == size ? 0 : index + 1);
  }
  static Descriptor unpack(const PackedDescriptor& read, bool has_next, std::uint64_t next) noexcept {
    const std::uint16_t flags = read.flags() & (Descriptor::write_flag | Descriptor::indirect_flag);
    return {read.address, read.length(),
            static_cast<std::uint16_t>(flags | (has_next ? Descriptor::next_flag : std::uint16_t{0})),
            static_cast<std::uint16_t>(next)};
  }

  std::uint16_t at_;
  std::uint32_t entries_;  // 0: more than there can be
  std::uint32_t left_;
};

/// Streams a chain: each descriptor is loaded once, when its turn comes, and checked before its buffer is handed out.
/// Bounded by the ring's size (at most 32768 descriptors), so that a loop ends. An invalid descriptor is an error, and
/// never just ends the chain.
template <Direction direction, typename Layout = RingLayout>
class ChainWalker {
  using Links = std::conditional_t<std::is_same_v<Layout, PackedLayout>, PackedLinks, SplitLinks>;

 public:
  /// A piece to read or to write.
  using Span = std::conditional_t<direction == Direction::readable, memory::HostSpan, memory::WritableSpan>;

  enum class Step {
    buffer,   ///< `span` holds the next piece of the chain.
    end,      ///< There is no more.
    invalid,  ///< The driver broke the specification: fault() says how.
  };

  /// `meter` counts what it looks at.
  ChainWalker(const Layout& layout, const memory::GuestMemory& memory, memory::GuestMemory::Hint& hint,
              WalkMeter& meter, const Chain& chain) noexcept
      : layout_(layout),
        memory_(memory),
        hint_(hint),
        meter_(meter),
        cost_(meter),
        links_(chain),
        current_(links_.first(layout, chain)) {
    fault_.head = chain.id;
  }

  /// The next piece: not empty, inside one region. A buffer that crosses a border of regions comes in two pieces.
  /// Buffers of length 0 are skipped.
  Step next(Span& span) noexcept;

  const VringFault& fault() const noexcept { return fault_; }
  /// The chain is spread over more pages than a packet may be.
  bool is_scattered() const noexcept { return cost_.is_scattered(); }
  /// Id of the chain, and the ring entries that it has taken so far.
  Chain chain() const noexcept { return links_.chain(fault_.head, ring_entries_); }

 private:
  bool open_descriptor() noexcept;
  bool open_indirect() noexcept;
  bool follow_next() noexcept;
  bool load_from_table(std::uint64_t entry) noexcept;
  bool fail(VringFaultCause cause, std::uint64_t a, std::uint64_t b) noexcept;

  const Layout& layout_;
  const memory::GuestMemory& memory_;
  memory::GuestMemory::Hint& hint_;
  WalkMeter& meter_;
  PacketMeter cost_;
  memory::GuestMemory::Hint table_hint_;
  bool opened_ = false;    // current_ was checked, its buffer is being handed out
  bool in_table_ = false;  // current_ comes from an indirect table
  std::uint32_t walked_ = 0;
  std::uint32_t ring_entries_ = 0;
  std::uint32_t table_length_ = 0;
  std::uint64_t table_ = 0;  // guest address
  [[no_unique_address]] Links links_;
  Descriptor current_;  // address and length: what is left of its buffer
  VringFault fault_;
};

}  // namespace vhostx::virtqueue
