// SPDX-License-Identifier: BSD-3-Clause
// Software segmentation (TCP over IPv4 and IPv6, UDP) for a guest that accepts no large packets.
#pragma once

#include <cstdint>

#include "net/packet_view.hpp"

namespace vhostx::net {

/// Most segments of one packet: 64 KiB in pieces of 32 bytes; real TCP segments have hundreds of bytes. A packet that
/// would make more is refused.
inline constexpr std::uint32_t segments_max = 2048;

/// How many segments `payload` bytes make; 1 for an empty payload. `segment_size` is not 0.
constexpr std::uint32_t segment_count(std::uint32_t payload, std::uint16_t segment_size) noexcept {
  return payload == 0 ? 1 : (payload - 1) / segment_size + 1;
}

/// Made from a view for which prepare_for_guest() returned `segment`; the view must outlive it.
///
///   Segmenter segmenter(view, features);
///   for (PacketView segment; segmenter.next(segment);) deliver(segment);
class Segmenter {
 public:
  /// `features` decides whether segments carry a finished checksum or, with GUEST_CSUM, only the pseudo header's.
  Segmenter(const PacketView& whole, std::uint64_t features) noexcept;

  /// The next segment, in order. False: there are no more, and `segment` is unchanged.
  bool next(PacketView& segment) noexcept;

  std::uint32_t count() const noexcept { return count_; }

 private:
  void edit_ip(PacketView& segment) const noexcept;
  void edit_l4(PacketView& segment) const noexcept;
  void write_checksum(PacketView& segment) const noexcept;
  void advance(std::uint32_t bytes) noexcept;

  const PacketView& whole_;
  const rte_mbuf* mbuf_;     ///< Where the next payload byte is,
  std::uint32_t offset_;     ///< and where in that segment.
  std::uint32_t done_ = 0;   ///< Payload bytes handed out.
  std::uint32_t index_ = 0;  ///< Segments handed out.
  std::uint32_t count_;      ///< Segments in all.
  bool guest_checksums_;
};

}  // namespace vhostx::net
