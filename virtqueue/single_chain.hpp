// SPDX-License-Identifier: BSD-3-Clause
// SingleChain: finds the next chain of a ring, for bursts of one, where setting up a batch costs more than the packet.
#pragma once

#include <cstdint>

#include "memory/buffer_translator.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"

namespace vhostx::virtqueue {

/// Handles only the common chain: one descriptor holds header and body, in the region of the chain before. For all
/// others find() returns false and a batch starts over; nothing that was read here is used then. `lists_entries`: a
/// ChainList says how many entries its chains have.
template <typename Shape, bool keeps_addresses, bool lists_entries>
class SingleChain {
 public:
  /// Looks at the next chain; queue.is_empty() must be false. Accepts bodies of up to `body_max` bytes.
  template <typename Queue>
  [[gnu::always_inline]] bool find(const Queue& queue, const memory::GuestMemory::Hint& region,
                                   std::uint32_t body_max) noexcept {
    RawDescriptor descriptor;
    if (!queue.template load_single<Shape::direction>(id_, descriptor)) [[unlikely]]
      return false;
    if constexpr (keeps_addresses) address_ = descriptor.address;
    length_ = descriptor.length() - Shape::header_bytes;  // wraps to something huge when too short
    return length_ >= Shape::body_min && length_ <= body_max &&
           memory::translate_near(region, {descriptor.address}, descriptor.length(), header_);
  }

  Chain chain() const noexcept { return {.id = id_, .entries = 1}; }
  /// The same as the first of a list, for a queue that gives it back later.
  void copy_chain(ChainList& to) const noexcept {
    to.ids[0] = id_;
    if constexpr (lists_entries) to.all_single = true;
  }
  const std::uint8_t* header() const noexcept { return header_; }
  const std::uint8_t* body() const noexcept { return header_ + Shape::header_bytes; }
  /// Room for a header and the first `bytes` of the body.
  memory::WritableSpan room(std::uint32_t bytes) const noexcept requires(Shape::direction == Direction::writable) {
    return {{header_, Shape::header_bytes + std::size_t{bytes}}, {keeps_addresses ? address_ : 0}};
  }
  /// Bytes after the header.
  std::uint32_t length() const noexcept { return length_; }

 private:
  const std::uint8_t* header_ = nullptr;
  std::uint64_t address_ = 0;
  std::uint32_t length_ = 0;
  std::uint16_t id_ = 0;
};

}  // namespace vhostx::virtqueue
