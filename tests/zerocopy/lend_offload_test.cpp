// SPDX-License-Identifier: BSD-3-Clause
// What a driver's net header asks for, of packets that are not copied.
#include <gtest/gtest.h>

#include "tests/net/packets.hpp"
#include "tests/zerocopy/loan_fixture.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint64_t offload_features =
    usual_net_features | net::feature_csum | net::feature_host_tso4 | net::feature_host_tso6;

struct LendOffload : ::testing::Test {
  LendOffload() : ring(offload_features) {}

  std::vector<rte_mbuf*> take(const net::VirtioNetHeader& header, const Bytes& packet) {
    ring.driver.chain().readable(join(header_bytes(ring.features, header), packet)).publish();
    return ring.lend();
  }

  LoanFixture ring;
};

// Ethernet, IPv4, TCP, then payload.
Bytes tcp_packet(std::size_t payload) {
  Bytes packet(14 + 20 + 20 + payload, 0x5a);
  packet[12] = 0x08;
  packet[13] = 0x00;
  const std::size_t total = packet.size() - 14;
  packet[14] = 0x45;
  packet[16] = static_cast<std::uint8_t>(total >> 8);
  packet[17] = static_cast<std::uint8_t>(total);
  packet[20] = packet[21] = 0;  // no fragment
  packet[23] = 6;
  packet[34 + 12] = 0x50;
  return packet;
}

constexpr net::VirtioNetHeader tcp_checksum{.flags = net::header_needs_csum, .csum_start = 34, .csum_offset = 16};

TEST_F(LendOffload, APartialChecksumIsAFlag) {
  const Bytes packet = tcp_packet(1000);
  const auto lent = take(tcp_checksum, packet);
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_TRUE(is_lent(lent[0]));
  EXPECT_EQ(lent[0]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_NONE);
  EXPECT_EQ(bytes_of(lent[0]), packet);
  rte_pktmbuf_free(lent[0]);
}

TEST_F(LendOffload, ALargeSegmentIsAFlagAndASize) {
  net::VirtioNetHeader header = tcp_checksum;
  header.gso_type = net::gso_tcpv4;
  header.gso_size = 1448;
  header.hdr_len = 54;
  const auto lent = take(header, tcp_packet(60000));
  ASSERT_EQ(lent.size(), 1U);
  EXPECT_TRUE(is_lent(lent[0]));
  EXPECT_NE(lent[0]->ol_flags & RTE_MBUF_F_RX_LRO, 0U);
  EXPECT_EQ(lent[0]->tso_segsz, 1448);
  rte_pktmbuf_free(lent[0]);
}

TEST_F(LendOffload, AHeaderThatLiesDropsThePacketAndLendsNothing) {
  net::VirtioNetHeader header = tcp_checksum;
  header.csum_start = 60000;
  EXPECT_TRUE(take(header, tcp_packet(1000)).empty());
  EXPECT_EQ(ring.count(VringCounter::drop_bad_header), 1U);
  EXPECT_EQ(ring.table->outstanding(), 0U);
  EXPECT_EQ(ring.driver.reap().size(), 1U);
}

TEST_F(LendOffload, AChecksumThatNoFlagDescribesIsWrittenIntoACopyAndNeverIntoTheGuest) {
  Bytes packet = tcp_packet(1000);
  packet[23] = 47;  // GRE: the checksum is somebody else's
  const auto head = ring.driver.chain().readable(join(header_bytes(ring.features, tcp_checksum), packet)).publish();
  const auto packets = ring.lend();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_FALSE(is_lent(packets[0]));
  EXPECT_EQ(ring.count(VringCounter::copied_shape), 1U);
  Bytes written = bytes_of(packets[0]);
  EXPECT_FALSE(std::equal(written.begin() + 50, written.begin() + 52, packet.begin() + 50));
  std::copy_n(packet.begin() + 50, 2, written.begin() + 50);
  EXPECT_EQ(written, packet);
  const std::uint8_t* in_guest = ring.guest.at(ring.driver.first_buffer(head) + 12);
  EXPECT_TRUE(std::equal(packet.begin(), packet.end(), in_guest));
  rte_pktmbuf_free(packets[0]);
}

}  // namespace
}  // namespace vhostx::test
