// SPDX-License-Identifier: BSD-3-Clause
// The packets of --mode txonly.
#include "tools/switch/packet_template.hpp"

#include <algorithm>
#include <cstring>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

namespace vhostx::tools {
namespace {

constexpr std::size_t l3_offset = sizeof(rte_ether_hdr);
constexpr std::size_t l4_offset = l3_offset + sizeof(rte_ipv4_hdr);
constexpr std::size_t payload_offset = l4_offset + sizeof(rte_udp_hdr);
constexpr std::uint16_t first_source_port = 1024;
constexpr std::uint16_t discard_port = 9;

template <typename T>
void put(std::vector<std::byte>& frame, std::size_t offset, const T& header) {
  std::memcpy(frame.data() + offset, &header, sizeof header);
}

rte_ether_hdr ethernet_header() {
  rte_ether_hdr header{};
  header.src_addr.addr_bytes[0] = 2;
  header.src_addr.addr_bytes[5] = 1;
  header.dst_addr.addr_bytes[0] = 2;
  header.dst_addr.addr_bytes[5] = 2;
  header.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
  return header;
}

rte_ipv4_hdr ip_header(std::size_t l3_length) {
  rte_ipv4_hdr header{};
  header.version_ihl = RTE_IPV4_VHL_DEF;
  header.total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(l3_length));
  header.time_to_live = 64;
  header.next_proto_id = IPPROTO_UDP;
  header.src_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 1));
  header.dst_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 2));
  header.hdr_checksum = rte_ipv4_cksum(&header);
  return header;
}

}  // namespace

std::vector<std::byte> udp_frame(std::uint16_t size, std::uint16_t flow) {
  std::vector<std::byte> frame(size);
  for (std::size_t i = payload_offset; i < frame.size(); ++i) frame[i] = static_cast<std::byte>(i);
  rte_udp_hdr udp{};
  udp.src_port = rte_cpu_to_be_16(static_cast<std::uint16_t>(first_source_port + flow));
  udp.dst_port = rte_cpu_to_be_16(discard_port);
  udp.dgram_len = rte_cpu_to_be_16(static_cast<std::uint16_t>(size - l4_offset));
  const auto ip = ip_header(size - l3_offset);
  put(frame, 0, ethernet_header());
  put(frame, l3_offset, ip);
  put(frame, l4_offset, udp);
  udp.dgram_cksum = rte_ipv4_udptcp_cksum(&ip, frame.data() + l4_offset);
  put(frame, l4_offset, udp);
  return frame;
}

rte_mbuf* mbuf_from_bytes(rte_mempool* pool, std::span<const std::byte> bytes) noexcept {
  rte_mbuf* const head = rte_pktmbuf_alloc(pool);
  for (rte_mbuf* segment = head; segment != nullptr;) {
    const auto length = std::min<std::size_t>(bytes.size(), rte_pktmbuf_tailroom(segment));
    std::memcpy(rte_pktmbuf_mtod(segment, void*), bytes.data(), length);
    segment->data_len = static_cast<std::uint16_t>(length);
    head->pkt_len += static_cast<std::uint32_t>(length);
    bytes = bytes.subspan(length);
    if (bytes.empty()) return head;
    segment->next = rte_pktmbuf_alloc(pool);
    segment = segment->next;
    if (segment != nullptr) ++head->nb_segs;
  }
  rte_pktmbuf_free(head);  // null is allowed
  return nullptr;
}

std::array<rte_mbuf*, burst_max> udp_burst(rte_mempool* pool, std::uint16_t size) {
  std::array<rte_mbuf*, burst_max> packets{};
  for (std::uint16_t flow = 0; flow < burst_max; ++flow) {
    packets[flow] = mbuf_from_bytes(pool, udp_frame(size, flow));
    if (packets[flow] != nullptr) continue;
    release_burst(packets.data(), flow);
    return {};
  }
  return packets;
}

}  // namespace vhostx::tools
