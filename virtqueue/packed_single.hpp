// SPDX-License-Identifier: BSD-3-Clause
// PackedSingle: finds the next chain of a packed ring, for bursts of one; see SplitSingle.
#pragma once

#include <cstdint>

#include "memory/buffer_translator.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/packed_scan.hpp"

namespace vhostx::virtqueue {

template <typename Shape, bool keeps_addresses>
class PackedSingle {
 public:
  /// Looks at the next chain. Accepts bodies of up to `body_max` bytes.
  template <typename Queue>
  [[gnu::always_inline]] bool find(const Queue& queue, const memory::GuestMemory::Hint& region,
                                   std::uint32_t body_max) noexcept {
    const PackedDescriptor descriptor = queue.layout_.table.load(queue.avail_next_.index());
    id_ = descriptor.id();
    if constexpr (keeps_addresses) address_ = descriptor.address;
    length_ = descriptor.length() - Shape::header_bytes;  // wraps to something huge when too short
    return is_whole_chain(descriptor.tail(), whole_chain<Shape::direction>(queue.avail_next_)) &&
           length_ >= Shape::body_min && length_ <= body_max &&
           memory::translate_near(region, {descriptor.address}, descriptor.length(), header_);
  }

  Chain chain() const noexcept { return {.id = id_, .entries = 1}; }
  void copy_chain(ChainList& to) const noexcept {
    to.ids[0] = id_;
    to.all_single = true;
  }
  const std::uint8_t* header() const noexcept { return header_; }
  const std::uint8_t* body() const noexcept { return header_ + Shape::header_bytes; }
  memory::WritableSpan room(std::uint32_t bytes) const noexcept requires(Shape::direction == Direction::writable) {
    return {{header_, Shape::header_bytes + std::size_t{bytes}}, {keeps_addresses ? address_ : 0}};
  }
  std::uint32_t length() const noexcept { return length_; }

 private:
  const std::uint8_t* header_ = nullptr;
  std::uint64_t address_ = 0;
  std::uint32_t length_ = 0;
  std::uint16_t id_ = 0;
};

}  // namespace vhostx::virtqueue
