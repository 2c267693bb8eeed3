// SPDX-License-Identifier: BSD-3-Clause
// The header in front of every packet in a virtio-net buffer (VIRTIO 1.2, 5.1.6), and the feature bits that decide
// what it may contain.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vhostx::net {

/// As in guest memory: little-endian with VERSION_1, the guest's own byte order without (VIRTIO 1.2, 5.1.6.1).
struct VirtioNetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
  std::uint16_t num_buffers = 0;

  friend bool operator==(const VirtioNetHeader&, const VirtioNetHeader&) = default;
};
static_assert(sizeof(VirtioNetHeader) == 12 && alignof(VirtioNetHeader) == 2);
static_assert(offsetof(VirtioNetHeader, csum_start) == 6 && offsetof(VirtioNetHeader, num_buffers) == 10);
// Fields are used as they are read. A big-endian host would have to swap them for modern guests.
static_assert(std::endian::native == std::endian::little);

// VirtioNetHeader::flags
inline constexpr std::uint8_t header_needs_csum = 1;  ///< Sum from csum_start to the end, store at + csum_offset.
inline constexpr std::uint8_t header_data_valid = 2;  ///< The checksum in the packet was found to be right.

// VirtioNetHeader::gso_type
inline constexpr std::uint8_t gso_none = 0;
inline constexpr std::uint8_t gso_tcpv4 = 1;
inline constexpr std::uint8_t gso_udp = 3;  ///< UFO, never offered by this library.
inline constexpr std::uint8_t gso_tcpv6 = 4;
inline constexpr std::uint8_t gso_udp_l4 = 5;  ///< USO, for IPv4 and IPv6.
inline constexpr std::uint8_t gso_ecn = 0x80;  ///< Beside gso_tcpv4 or gso_tcpv6: the packet has CWR set.

// Feature bits (VIRTIO 1.2, 5.1.3). "host": what the driver may send. "guest": what the driver takes.
inline constexpr std::uint64_t feature_csum = 1ULL << 0;
inline constexpr std::uint64_t feature_guest_csum = 1ULL << 1;
inline constexpr std::uint64_t feature_guest_tso4 = 1ULL << 7;
inline constexpr std::uint64_t feature_guest_tso6 = 1ULL << 8;
inline constexpr std::uint64_t feature_guest_ecn = 1ULL << 9;
inline constexpr std::uint64_t feature_host_tso4 = 1ULL << 11;
inline constexpr std::uint64_t feature_host_tso6 = 1ULL << 12;
inline constexpr std::uint64_t feature_host_ecn = 1ULL << 13;
inline constexpr std::uint64_t feature_mrg_rxbuf = 1ULL << 15;
inline constexpr std::uint64_t feature_version_1 = 1ULL << 32;
inline constexpr std::uint64_t feature_guest_uso4 = 1ULL << 54;
inline constexpr std::uint64_t feature_guest_uso6 = 1ULL << 55;
inline constexpr std::uint64_t feature_host_uso = 1ULL << 56;

inline constexpr std::uint16_t header_length_legacy = 10;  ///< No num_buffers.
inline constexpr std::uint16_t header_length_full = 12;

/// Bytes of header in front of each packet (VIRTIO 1.2, 5.1.6.1): the short form only for a legacy driver without
/// mergeable buffers.
constexpr std::uint16_t header_length(std::uint64_t features) noexcept {
  return (features & (feature_version_1 | feature_mrg_rxbuf)) != 0 ? header_length_full : header_length_legacy;
}

/// Whether a transmitted header asks for anything. If not, apply_guest_offload need not be called; DATA_VALID from a
/// driver means nothing (VIRTIO 1.2, 5.1.6.2) but costs no more than that call.
constexpr bool asks_offload(const VirtioNetHeader& header) noexcept { return (header.flags | header.gso_type) != 0; }

}  // namespace vhostx::net
