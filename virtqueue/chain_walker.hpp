// SPDX-License-Identifier: BSD-3-Clause
// ChainWalker: one descriptor chain, buffer by buffer (VIRTIO 1.2, 2.7.5).
#pragma once

#include <cstdint>
#include <type_traits>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/walk_budget.hpp"

namespace vhostx::virtqueue {

/// Streams a chain: each descriptor is loaded once, when its turn comes, and checked before its buffer is handed out.
/// Bounded by the ring's size (at most 32768 descriptors), so that a loop ends. An invalid descriptor is an error, and
/// never just ends the chain.
template <Direction direction>
class ChainWalker {
 public:
  /// A piece to read or to write.
  using Span = std::conditional_t<direction == Direction::readable, memory::HostSpan, memory::WritableSpan>;

  enum class Step {
    buffer,   ///< `span` holds the next piece of the chain.
    end,      ///< There is no more.
    invalid,  ///< The driver broke the specification: fault() says how.
  };

  /// `meter` counts what it looks at.
  ChainWalker(const RingLayout& layout, const memory::GuestMemory& memory, memory::GuestMemory::Hint& hint,
              WalkMeter& meter, const Chain& chain) noexcept
      : layout_(layout), memory_(memory), hint_(hint), meter_(meter), cost_(meter), current_(chain.first.unpack()) {
    fault_.head = chain.id;
  }

  /// The next piece: not empty, inside one region. A buffer that crosses a border of regions comes in two pieces.
  /// Buffers of length 0 are skipped.
  Step next(Span& span) noexcept;

  const VringFault& fault() const noexcept { return fault_; }
  /// The chain is spread over more pages than a packet may be.
  bool is_scattered() const noexcept { return cost_.is_scattered(); }
  /// Id of the chain, and the ring entries that it has taken so far.
  Chain chain() const noexcept { return {.id = fault_.head, .entries = ring_entries_}; }

 private:
  bool open_descriptor() noexcept;
  bool open_indirect() noexcept;
  bool follow_next() noexcept;
  bool load_from_table(std::uint64_t entry) noexcept;
  bool fail(VringFaultCause cause, std::uint64_t a, std::uint64_t b) noexcept;

  const RingLayout& layout_;
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
  Descriptor current_;       // address and length: what is left of its buffer
  VringFault fault_;
};

}  // namespace vhostx::virtqueue
