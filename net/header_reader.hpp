// SPDX-License-Identifier: BSD-3-Clause
// Reads net headers out of guest memory, each byte once.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory/address.hpp"
#include "memory/load_once.hpp"
#include "net/virtio_net_header.hpp"

namespace vhostx::net {

/// `asked`: flags and gso_type, the header's first two bytes, read already; the rest is read here.
inline VirtioNetHeader load_header(std::uint16_t asked, const std::uint8_t* header) noexcept {
  const auto word = [header](std::size_t offset) { return memory::load_once<std::uint16_t>(header + offset); };
  return {.flags = static_cast<std::uint8_t>(asked),
          .gso_type = static_cast<std::uint8_t>(asked >> 8),
          .hdr_len = word(offsetof(VirtioNetHeader, hdr_len)),
          .gso_size = word(offsetof(VirtioNetHeader, gso_size)),
          .csum_start = word(offsetof(VirtioNetHeader, csum_start)),
          .csum_offset = word(offsetof(VirtioNetHeader, csum_offset)),
          .num_buffers = 0};
}

/// Our own copy of a header that may be cut anywhere (VIRTIO 1.2, 2.7.4: no framing is assumed).
template <std::uint16_t net_header_bytes>
class HeaderReader {
 public:
  /// Moves the bytes that are still missing out of `span`.
  void take(memory::HostSpan& span) noexcept {
    const std::size_t part = std::min<std::size_t>(span.size, net_header_bytes - have_);
    const std::uint8_t* const from = span.data;
    std::uint8_t* const to = bytes_.data() + have_;
    for (std::size_t i = 0; i < part; ++i) to[i] = memory::load_once<std::uint8_t>(from + i);
    have_ += part;
    span = {span.data + part, span.size - part};
  }
  bool is_whole() const noexcept { return have_ == net_header_bytes; }
  VirtioNetHeader header() const noexcept {
    VirtioNetHeader header;
    std::memcpy(static_cast<void*>(&header), bytes_.data(), offsetof(VirtioNetHeader, num_buffers));
    return header;
  }

 private:
  std::array<std::uint8_t, header_length_full> bytes_{};
  std::size_t have_ = 0;
};

}  // namespace vhostx::net
