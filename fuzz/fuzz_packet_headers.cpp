// SPDX-License-Identifier: BSD-3-Clause
// The header parser on any bytes: what it reports lies within the packet, and it never looks at what was not copied.
//
// Input: one byte (where the mbuf chain is split), then the packet.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "fuzz/mbuf_chain.hpp"
#include "net/packet_headers.hpp"

namespace {

using vhostx::net::PacketHead;
using vhostx::net::PacketHeaders;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const PacketHead& head, const PacketHeaders& headers) {
  require(headers.payload_offset() <= head.length);
  require(headers.l4_len <= headers.l4_total || headers.l4_total == 0);
  require(headers.l3_len == 0 || headers.l4_offset() + headers.l4_total <= head.packet_length);
  require(!headers.is_fragment || headers.l4_len == 0);
  require(!(headers.is_ipv4() && headers.is_ipv6()));
}

/// The same answer whatever lies behind the copied bytes.
void parse_twice(PacketHead& head) {
  PacketHeaders first;
  PacketHeaders second;
  std::memset(head.bytes + head.length, 0, sizeof(head.bytes) - head.length);
  const bool parsed = parse_packet_headers(head, first);
  std::memset(head.bytes + head.length, 0xff, sizeof(head.bytes) - head.length);
  require(parse_packet_headers(head, second) == parsed);
  if (!parsed) return;
  require(first == second);
  check(head, first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 0x10000) return 0;
  vhostx::fuzz::MbufChain packet(data + 1, size - 1, data[0]);
  PacketHead head(packet.get());
  parse_twice(head);
  for (const std::uint16_t type : {vhostx::net::ether_type_ipv4, vhostx::net::ether_type_ipv6}) {
    PacketHeaders headers;
    const auto l2_len = static_cast<std::uint16_t>(data[0] * 2U);
    if (parse_network_headers(head, l2_len, type, headers)) check(head, headers);
  }
  return 0;
}
