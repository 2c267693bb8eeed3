// SPDX-License-Identifier: BSD-3-Clause
// Writes the seeds of fuzz_packet_headers and fuzz_offload: packets of every shape, with requests that fit them.
//
//   packet_seeds fuzz/corpus
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "net/virtio_net_header.hpp"
#include "tests/net/packets.hpp"

namespace {

using namespace vhostx;
using test::Bytes;

bool write_seed(const std::string& path, const Bytes& start, const Bytes& packet) {
  std::ofstream file(path, std::ios::binary);
  for (const Bytes& part : {start, packet})
    file.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
  return static_cast<bool>(file);
}

/// fuzz_offload's Control.
struct Control {
  net::VirtioNetHeader header;
  std::uint8_t from_features = 0x1f;
  std::uint8_t to_features = 0;
  std::uint8_t split = 0;
  std::uint8_t is_application = 0;
  std::uint64_t flags = 0;
  std::uint64_t lengths = 0;
};

Bytes control_bytes(const test::TestPacket& packet, bool application, bool large, std::uint8_t features) {
  const bool is_tcp = packet.shape.protocol == test::tcp;
  const bool ipv6 = packet.shape.ipv6;
  Control control;
  control.to_features = features;
  control.split = large ? 40 : 0;
  control.is_application = application;
  control.header.flags = net::header_needs_csum;
  control.header.csum_start = static_cast<std::uint16_t>(packet.l4);
  control.header.csum_offset = is_tcp ? 16 : 6;
  if (large) {
    control.header.gso_type = !is_tcp ? net::gso_udp_l4 : ipv6 ? net::gso_tcpv6 : net::gso_tcpv4;
    control.header.gso_size = 64;
  }
  rte_mbuf mbuf = {};
  mbuf.l2_len = packet.l3 & 0x7f;
  mbuf.l3_len = (packet.l4 - packet.l3) & 0x1ff;
  mbuf.l4_len = (packet.payload - packet.l4) & 0xff;
  mbuf.tso_segsz = 64;
  control.lengths = mbuf.tx_offload;
  control.flags = (is_tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM) |
                  (ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
  if (large) control.flags |= is_tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
  Bytes bytes(sizeof(control));
  std::memcpy(bytes.data(), &control, sizeof(control));
  return bytes;
}

bool write_all(const std::string& folder) {
  bool good = true;
  int number = 0;
  for (const auto& shape : test::all_shapes(200)) {
    if (shape.ip_extra == 40 || shape.tcp_options == 12 || shape.vlan_tags == 1) continue;  // mutations find these
    const test::TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
    const std::string name = std::to_string(number++);
    good = good && write_seed(folder + "/fuzz_packet_headers/" + name, Bytes{7}, packet.bytes);
    for (const int kind : {0, 1, 2, 3}) {
      const auto features = static_cast<std::uint8_t>(number % 2 == 0 ? 0x3f : 0);
      const Bytes control = control_bytes(packet, (kind & 1) != 0, (kind & 2) != 0, features);
      good = good && write_seed(folder + "/fuzz_offload/" + name + "-" + std::to_string(kind), control, packet.bytes);
    }
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && write_all(argv[1])) return 0;
  std::fprintf(stderr, "usage: packet_seeds CORPUS, where CORPUS has fuzz_packet_headers/ and fuzz_offload/\n");
  return 1;
}
