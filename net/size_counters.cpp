// SPDX-License-Identifier: BSD-3-Clause
#include "net/size_counters.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include <rte_mbuf.h>

namespace vhostx::net {
namespace {

constexpr std::size_t address_bytes = 6;

constexpr std::uint8_t number(SizeCounter id) noexcept { return static_cast<std::uint8_t>(id); }

constexpr std::uint8_t size_of(std::uint32_t bytes) noexcept {
  if (bytes < 64) return number(SizeCounter::below_64);
  if (bytes == 64) return number(SizeCounter::size_64);
  if (bytes > 1518) return number(SizeCounter::size_above_1518);
  if (bytes >= 1024) return number(SizeCounter::size_1024_1518);
  return static_cast<std::uint8_t>(std::bit_width(bytes) - 7 + number(SizeCounter::size_65_127));
}
static_assert(size_of(65) == number(SizeCounter::size_65_127) && size_of(127) == number(SizeCounter::size_65_127) &&
              size_of(128) == number(SizeCounter::size_128_255) && size_of(1023) == number(SizeCounter::size_512_1023));

// IEEE 802.3: the first bit on the wire says that it is a group's, all bits that it is everybody's.
std::uint8_t destination_of(const std::uint8_t* address) noexcept {
  if ((address[0] & 1u) == 0) return 0;
  const bool everybody = std::all_of(address, address + address_bytes, [](std::uint8_t byte) { return byte == 0xff; });
  return number(everybody ? SizeCounter::broadcast : SizeCounter::multicast);
}

}  // namespace

SizeClass size_class_of(const rte_mbuf& packet) noexcept {
  const std::uint8_t size = size_of(packet.pkt_len);
  if (packet.data_len < address_bytes) return {size, 0};
  return {size, destination_of(rte_pktmbuf_mtod(&packet, const std::uint8_t*))};
}

SizeClass size_class_of(const PeekedPacket& packet) noexcept {
  return {size_of(packet.length), destination_of(packet.head)};
}

void SizeCounters::count(SizeClass packet) noexcept {
  counters_.add(packet.size, 1);
  if (packet.destination != 0) counters_.add(packet.destination, 1);
}

void SizeCounters::count(std::span<rte_mbuf* const> packets) noexcept {
  for (const rte_mbuf* packet : packets) count(size_class_of(*packet));
}

}  // namespace vhostx::net
