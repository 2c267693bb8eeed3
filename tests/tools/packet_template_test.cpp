// SPDX-License-Identifier: BSD-3-Clause
// txonly's packets, checked by a sum that is written differently from the code's.
#include "tools/switch/packet_template.hpp"

#include <gtest/gtest.h>

#include "tests/support/eal.hpp"

namespace vhostx::tools {
namespace {

unsigned byte_at(const std::vector<std::byte>& frame, std::size_t i) { return std::to_integer<unsigned>(frame.at(i)); }
unsigned word_at(const std::vector<std::byte>& frame, std::size_t i) {
  return byte_at(frame, i) << 8 | byte_at(frame, i + 1);
}

/// RFC 1071, in the obvious way; right when the sum of everything with its checksum is 0xffff.
unsigned sum(const std::vector<std::byte>& frame, std::size_t from, std::size_t to, unsigned start = 0) {
  unsigned total = start;
  for (std::size_t i = from; i < to; ++i) {
    total += (i - from) % 2 == 0 ? byte_at(frame, i) << 8 : byte_at(frame, i);
    if (total > 0xffff) total -= 0xffff;
  }
  return total;
}

TEST(UdpFrame, IsWellFormed) {
  for (const unsigned size : {60u, 61u, 64u, 1518u, 9001u, 65535u})
    for (const std::uint16_t flow : {std::uint16_t{0}, std::uint16_t{31}}) {
      const auto frame = udp_frame(static_cast<std::uint16_t>(size), flow);
      ASSERT_EQ(frame.size(), size);
      EXPECT_EQ(word_at(frame, 12), 0x0800u);
      EXPECT_EQ(byte_at(frame, 14), 0x45u);
      EXPECT_EQ(word_at(frame, 16), size - 14);
      EXPECT_EQ(word_at(frame, 38), size - 34);
      EXPECT_EQ(sum(frame, 14, 34), 0xffffu) << size;
      const unsigned pseudo = sum(frame, 26, 34, 17 + size - 34);
      EXPECT_EQ(sum(frame, 34, size, pseudo), 0xffffu) << size;
      EXPECT_NE(word_at(frame, 40), 0u);
      EXPECT_EQ(byte_at(frame, 0) & 1u, 0u);
      EXPECT_EQ(byte_at(frame, 6) & 1u, 0u);
    }
}

TEST(UdpFrame, FlowsDiffer) { EXPECT_NE(udp_frame(60, 1), udp_frame(60, 2)); }

TEST(MbufFromBytes, KeepsEveryByteInAChain) {
  auto* const pool = test::test_pool();
  const auto in_use = rte_mempool_in_use_count(pool);
  for (const std::uint16_t size : {std::uint16_t{60}, std::uint16_t{2048}, std::uint16_t{2049}, std::uint16_t{65535}}) {
    const auto frame = udp_frame(size, 5);
    rte_mbuf* const packet = mbuf_from_bytes(pool, frame);
    ASSERT_NE(packet, nullptr);
    EXPECT_EQ(packet->pkt_len, size);
    EXPECT_EQ(rte_mbuf_check(packet, 1, nullptr), 0);
    std::vector<std::byte> copy(size);
    const auto* bytes = static_cast<const std::byte*>(rte_pktmbuf_read(packet, 0, size, copy.data()));
    EXPECT_EQ(std::vector<std::byte>(bytes, bytes + size), frame);
    rte_pktmbuf_free(packet);
  }
  EXPECT_EQ(rte_mempool_in_use_count(pool), in_use);
}

TEST(MbufFromBytes, AnEmptyPoolLosesNothing) {
  auto* const pool = test::test_pool(2048, 15);
  const auto in_use = rte_mempool_in_use_count(pool);
  EXPECT_EQ(mbuf_from_bytes(pool, udp_frame(65535, 0)), nullptr);
  EXPECT_EQ(udp_burst(pool, 60)[0], nullptr);
  EXPECT_EQ(rte_mempool_in_use_count(pool), in_use);
}

}  // namespace
}  // namespace vhostx::tools
