// SPDX-License-Identifier: BSD-3-Clause
// SinglePacket: finds the next packet of a ring, for bursts of one, where setting up a batch costs more than the
// packet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "net/ring_context.hpp"
#include "virtqueue/short_chain.hpp"

namespace vhostx::net {

/// Handles only the common packet: one descriptor holds packet and net header, in the region of the packet before. For
/// all others find() returns false and a PacketBatch starts over; nothing that was read here is used then.
template <virtqueue::Direction direction, std::uint16_t net_header_bytes, std::uint32_t payload_min>
class SinglePacket {
 public:
  /// Looks at the next chain; queue.ready() must not be 0. Accepts payloads of `payload_min` to `payload_max` bytes.
  [[gnu::always_inline]] bool find(const virtqueue::SplitQueue& queue, const RingContext& context,
                                   std::uint32_t payload_max) noexcept {
    head_ = queue.head(0);
    if (head_ >= context.layout.size) [[unlikely]]
      return false;
    const auto descriptor =
        virtqueue::load_descriptor(context.layout.descriptors + head_ * sizeof(virtqueue::Descriptor));
    const memory::GuestMemory::Hint& region = context.cursor.hint;
    const std::uint64_t offset = descriptor.address - region.guest;  // wraps to something huge when below
    length_ = descriptor.length() - net_header_bytes;                // so does this when too short
    // Computed as a number, as in BufferTranslator: it is used only if the last line below is true.
    header_ = reinterpret_cast<std::uint8_t*>(reinterpret_cast<std::uintptr_t>(region.host) + offset);
    return virtqueue::is_last<direction>(descriptor) && length_ >= payload_min && length_ <= payload_max &&
           offset < region.size && descriptor.length() <= region.size - offset;
  }

  std::uint16_t head() const noexcept { return head_; }
  std::uint8_t* header() const noexcept { return header_; }
  std::uint8_t* payload() const noexcept { return header_ + net_header_bytes; }
  /// Bytes after the net header.
  std::uint32_t length() const noexcept { return length_; }

 private:
  std::uint8_t* header_ = nullptr;
  std::uint32_t length_ = 0;
  std::uint16_t head_ = 0;
};

}  // namespace vhostx::net
