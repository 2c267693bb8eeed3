// SPDX-License-Identifier: BSD-3-Clause
// Flow hash: a bounded look at the headers of one segment.
#include "tools/switch/flow_hash.hpp"

#include <cstddef>
#include <cstring>
#include <span>

#include <rte_mbuf.h>

namespace vhostx::tools {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint16_t ether_ipv4 = 0x0800;
constexpr std::uint16_t ether_ipv6 = 0x86dd;
constexpr std::uint16_t ether_vlan = 0x8100;
constexpr std::uint16_t ether_qinq = 0x88a8;
constexpr unsigned protocol_tcp = 6;
constexpr unsigned protocol_udp = 17;

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
  hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15u;
  return hash ^ (hash >> 32);
}

/// `length` bytes at `offset`, at most eight, as a number; the caller has checked that they are there.
std::uint64_t word_at(Bytes frame, std::size_t offset, std::size_t length) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, frame.data() + offset, length);
  return word;
}
unsigned byte_at(Bytes frame, std::size_t offset) noexcept { return std::to_integer<unsigned>(frame[offset]); }
std::uint16_t be16_at(Bytes frame, std::size_t offset) noexcept {
  return static_cast<std::uint16_t>(byte_at(frame, offset) << 8 | byte_at(frame, offset + 1));
}

std::uint64_t mix_ports(std::uint64_t hash, Bytes frame, std::size_t offset, unsigned protocol) noexcept {
  if ((protocol != protocol_tcp && protocol != protocol_udp) || frame.size() < offset + 4) return hash;
  return mix(hash, word_at(frame, offset, 4) << 8 | protocol);
}

std::uint64_t hash_ipv4(Bytes frame, std::size_t l3) noexcept {
  const auto hash = mix(0, word_at(frame, l3 + 12, 8));
  const bool fragment = (be16_at(frame, l3 + 6) & 0x3fff) != 0;  // more fragments, or an offset
  const auto header_length = (byte_at(frame, l3) & 0xfu) * 4;
  return fragment ? hash : mix_ports(hash, frame, l3 + header_length, byte_at(frame, l3 + 9));
}

std::uint64_t hash_ipv6(Bytes frame, std::size_t l3) noexcept {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < 32; i += 8) hash = mix(hash, word_at(frame, l3 + 8 + i, 8));
  return mix_ports(hash, frame, l3 + 40, byte_at(frame, l3 + 6));
}

std::uint64_t hash_frame(Bytes frame) noexcept {
  std::size_t l3 = 14;
  auto type = be16_at(frame, 12);
  for (int tag = 0; tag < 2 && (type == ether_vlan || type == ether_qinq) && frame.size() >= l3 + 4; ++tag) {
    type = be16_at(frame, l3 + 2);
    l3 += 4;
  }
  if (type == ether_ipv4 && frame.size() >= l3 + 20) return hash_ipv4(frame, l3);
  if (type == ether_ipv6 && frame.size() >= l3 + 40) return hash_ipv6(frame, l3);
  return mix(mix(0, word_at(frame, 0, 8)), word_at(frame, 8, 4));
}

}  // namespace

std::uint32_t flow_hash(const rte_mbuf* packet) noexcept {
  return flow_hash(rte_pktmbuf_mtod(packet, const void*), packet->data_len);
}

std::uint32_t flow_hash(const void* head, std::size_t length) noexcept {
  const Bytes frame(static_cast<const std::byte*>(head), length);
  // Once more: a queue is picked by the lowest bits, and what came in last has reached few of them. A Linux client's
  // ports are all even, so that without this all answers of a server go to one of two queues.
  return static_cast<std::uint32_t>(mix(hash_frame(frame), 0));
}

}  // namespace vhostx::tools
