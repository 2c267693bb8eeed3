// SPDX-License-Identifier: BSD-3-Clause
// PacketView: one packet for a guest, made of edited headers and of bytes that stay in the application's mbuf.
#pragma once

#include <cstdint>

#include "net/virtio_net_header.hpp"

struct rte_mbuf;

namespace vhostx::net {

/// Most bytes of a packet that are parsed as headers, and the size of an edited copy of them.
inline constexpr std::uint16_t parsed_bytes_max = 256;

/// The packet is `prefix_length` bytes of `prefix`, then `length` bytes of the mbuf chain `mbuf` from `offset` on.
///
/// On the caller's stack and not cleared: `prefix` is uninitialised past `prefix_length`. Filled by prepare_for_guest()
/// and Segmenter. Owns nothing.
struct PacketView {
  VirtioNetHeader header;  ///< num_buffers is 0: the enqueue path knows it last.
  std::uint16_t prefix_length;
  std::uint16_t network_offset;  ///< Where the IP header starts in `prefix`; meaningful when there is one.
  std::uint32_t offset;          ///< From the first byte of `mbuf`, which may be a later segment of a packet.
  std::uint32_t length;
  const rte_mbuf* mbuf;
  std::uint8_t prefix[parsed_bytes_max];

  PacketView() noexcept {}  // NOLINT: leaves the prefix as it is

  std::uint32_t packet_length() const noexcept { return prefix_length + length; }
};

}  // namespace vhostx::net
