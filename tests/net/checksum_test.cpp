// SPDX-License-Identifier: BSD-3-Clause
// OnesSum and CRC32c against the slow model and published values.
#include "net/checksum.hpp"

#include <random>

#include <gtest/gtest.h>

#include "tests/net/packets.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;

std::uint16_t to_host(std::uint16_t memory_order) {
  return static_cast<std::uint16_t>(memory_order << 8 | memory_order >> 8);
}

Bytes random_bytes(std::size_t count, std::mt19937& random) {
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

/// 0 and 0xffff are the same number; the slow model gives 0 only for all zeros, as OnesSum does.
std::uint16_t sum_of(const Bytes& bytes) {
  OnesSum sum;
  sum.add(bytes.data(), bytes.size());
  return to_host(sum.folded());
}

TEST(OnesSum, TheExampleOfRfc1071) { EXPECT_EQ(sum_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2); }

TEST(OnesSum, EveryLengthAtEveryAlignment) {
  std::mt19937 random(1);
  for (std::size_t length = 0; length < 70; ++length)
    for (std::size_t start = 0; start < 9; ++start) {
      const Bytes bytes = random_bytes(start + length, random);
      OnesSum sum;
      sum.add(bytes.data() + start, length);
      EXPECT_EQ(to_host(sum.folded()), test::slow_sum(test::slice(bytes, start, length))) << length << " at " << start;
    }
}

TEST(OnesSum, PiecesOfAnySizeAddUp) {
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    const Bytes bytes = random_bytes(random() % 300, random);
    OnesSum sum;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t count = std::min<std::size_t>(random() % 20, bytes.size() - at);
      sum.add(bytes.data() + at, count);
      at += count;
    }
    ASSERT_EQ(to_host(sum.folded()), test::slow_sum(bytes));
  }
}

TEST(OnesSum, NothingOverflowsOn64KiBOfOnes) {
  const Bytes bytes(0x10001, 0xff);
  EXPECT_EQ(sum_of(bytes), test::slow_sum(bytes));
}

TEST(OnesSum, AChecksumOfZeroIsStoredAsOnes) {
  OnesSum sum;
  sum.add_word(0xffff);
  EXPECT_EQ(sum.checksum(), 0xffff);
}

TEST(OnesSum, ChainsSplitAtEveryOffsetSumTheSame) {
  std::mt19937 random(3);
  const Bytes bytes = random_bytes(131, random);
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    const auto packet = test::to_mbuf(bytes, split, 3);
    for (std::uint32_t offset = 0; offset <= bytes.size(); offset += 7) {
      const std::uint32_t length = static_cast<std::uint32_t>(bytes.size()) - offset;
      for (const std::uint32_t part : {length, length / 2, length / 3}) {
        OnesSum sum;
        sum.add(packet.get(), offset, part);
        ASSERT_EQ(to_host(sum.folded()), test::slow_sum(test::slice(bytes, offset, part))) << split << ' ' << offset;
      }
    }
  }
}

TEST(OnesSum, AsksForMoreThanTheChainHas) {
  const Bytes bytes{1, 2, 3};
  const auto packet = test::to_mbuf(bytes, 1);
  OnesSum all;
  all.add(packet.get(), 0, 0xffffffffU);
  EXPECT_EQ(to_host(all.folded()), test::slow_sum(bytes));
  OnesSum none;
  none.add(packet.get(), 3, 1);
  none.add(packet.get(), 0xffffffffU, 0xffffffffU);
  EXPECT_EQ(none.folded(), 0);
}

TEST(Crc32c, ThePublishedCheckValue) {
  const char text[] = "123456789";
  EXPECT_EQ(~crc32c(crc32c_start, text, 9), 0xe3069283U);
  const auto packet = test::to_mbuf(Bytes(text, text + 9), 4, 1);
  EXPECT_EQ(~crc32c(crc32c_start, packet.get(), 0, 9), 0xe3069283U);
}

}  // namespace
}  // namespace vhostx::net
