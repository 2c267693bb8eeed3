// SPDX-License-Identifier: BSD-3-Clause
// The frames that vhostx-bench sends and recognises: Ethernet, IPv4, UDP or (with segmentation offload) TCP, then
//   offset 0   magic (2)
//          2   sum of the body, bound to the number (4)
//          6   number of the packet in its stream (8)
//         14   time of sending, nanoseconds (6)
//         20   sum of stream, length, number and time (2)
//         22   body: a pattern, with the packet's number in every 32nd word, so that a stale piece is found
// The stream is the source port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace vhostx::tools::bench {

using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::uint32_t frame_bytes_min = 64;          ///< Without FCS.
inline constexpr std::uint32_t frame_bytes_max = 65535 + 14;  ///< The largest IPv4 packet with its Ethernet header.

/// VIRTIO 1.2, 5.1.6. Without MRG_RXBUF and VERSION_1 it ends before num_buffers.
struct VirtioNetHeader {
  static constexpr std::uint8_t needs_checksum_flag = 1;
  static constexpr std::uint8_t gso_tcp4 = 1;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t num_buffers = 0;
};
static_assert(sizeof(VirtioNetHeader) == 12);

/// Four sums, each over every fourth 64-bit word: fast to compute, and they detect words that changed places.
using BodySums = std::array<std::uint64_t, 4>;
BodySums sum_body(const std::uint8_t* body, std::size_t bytes) noexcept;

struct FrameSpec {
  MacAddress destination{};
  MacAddress source{};
  std::uint32_t bytes = frame_bytes_min;  ///< Without FCS; frame_bytes_min to frame_bytes_max.
  std::uint16_t stream = 0;
  std::uint16_t segment_bytes = 0;  ///< Not 0: TCP, to be segmented into payloads of this many bytes.
};

/// Makes the frames of one stream, which differ in number, time and sums only.
class FrameTemplate {
 public:
  explicit FrameTemplate(const FrameSpec& spec);

  std::uint32_t bytes() const noexcept { return spec_.bytes; }
  std::uint16_t stream() const noexcept { return spec_.stream; }
  const VirtioNetHeader& header() const noexcept { return header_; }

  /// Writes the whole frame into a buffer, once. stamp() then makes packets of it.
  void lay_out(std::uint8_t* frame) const noexcept { std::memcpy(frame, bytes_.data(), bytes_.size()); }
  /// Writes number, time and sums: what differs from packet to packet.
  void stamp(std::uint8_t* frame, std::uint64_t number, std::uint64_t time_ns) const noexcept;

 private:
  FrameSpec spec_;
  VirtioNetHeader header_;
  std::uint32_t payload_ = 0;  ///< Offset of the magic.
  std::uint32_t marks_ = 0;    ///< Words of the body that hold the number.
  BodySums sums_{};            ///< Of the body with these words 0.
  std::vector<std::uint8_t> bytes_;
};

struct Inspected {
  enum class Kind : std::uint8_t { foreign, damaged, intact };
  Kind kind = Kind::foreign;
  std::uint16_t stream = 0;
  std::uint64_t number = 0;
  std::uint64_t time_ns = 0;
};

enum class Check : bool { head, full };

/// What arrived: not ours, ours but damaged, or intact. `Check::head` does not read the body.
Inspected inspect(const std::uint8_t* frame, std::uint32_t bytes, Check check) noexcept;

}  // namespace vhostx::tools::bench
