// SPDX-License-Identifier: BSD-3-Clause
// Software segments: each a correct packet by itself, together the original.
#include "net/segmenter.hpp"

#include <gtest/gtest.h>

#include "tests/net/delivery.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::Delivery;
using test::TestPacket;

Delivery segment(const TestPacket& packet, std::uint16_t size, std::uint64_t features, std::size_t first = SIZE_MAX,
                 std::size_t second = SIZE_MAX) {
  const auto mbuf = test::to_mbuf(packet.bytes, first, second);
  mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO;
  mbuf->tso_segsz = size;
  return test::deliver(mbuf.get(), features);
}

/// The segment that a NIC makes, by building it anew: nothing is edited, so nothing can be forgotten.
TestPacket expected_segment(const TestPacket& packet, std::size_t index, std::size_t size) {
  const std::size_t done = index * size;
  const bool last = done + size >= packet.shape.payload;
  auto shape = packet.shape;
  shape.payload = std::min(size, packet.shape.payload - done);
  if (!last) shape.tcp_flags &= static_cast<std::uint8_t>(~0x09);
  if (index != 0) shape.tcp_flags &= 0x7f;
  TestPacket made = test::make_packet(shape);
  for (std::size_t i = 0; i < shape.payload; ++i)
    made.bytes[made.payload + i] = packet.bytes[packet.payload + done + i];
  if (shape.protocol == test::tcp) {
    const auto sequence = test::long_at(packet.bytes, packet.l4 + 4) + static_cast<std::uint32_t>(done);
    test::put_word(made.bytes, made.l4 + 4, sequence >> 16);
    test::put_word(made.bytes, made.l4 + 6, sequence);
  }
  if (!shape.ipv6) {
    test::put_word(made.bytes, made.l3 + 4, test::word_at(packet.bytes, packet.l3 + 4) + index);
    test::put_word(made.bytes, made.l3 + 10, 0);
    const auto sum = test::slow_sum(test::slice(made.bytes, made.l3, made.l4 - made.l3));
    test::put_word(made.bytes, made.l3 + 10, static_cast<std::uint16_t>(~sum));
  }
  return test::with_pseudo_sum(made);
}

void expect_segments(const TestPacket& packet, std::size_t size, std::uint64_t features, const Delivery& delivery) {
  ASSERT_EQ(delivery.verdict, OffloadVerdict::segment);
  ASSERT_EQ(delivery.packets.size(), (packet.shape.payload + size - 1) / size);
  for (std::size_t i = 0; i < delivery.packets.size(); ++i) {
    TestPacket expected = expected_segment(packet, i, size);
    VirtioNetHeader header;
    header.flags = header_needs_csum;
    header.csum_start = static_cast<std::uint16_t>(packet.l4);
    header.csum_offset = static_cast<std::uint16_t>(packet.checksum_field() - packet.l4);
    if (features == 0) {
      test::complete_like_guest(header, expected.bytes);
      header = VirtioNetHeader{};
    }
    ASSERT_EQ(delivery.packets[i].bytes, expected.bytes) << "segment " << i;
    ASSERT_EQ(delivery.packets[i].header, header);
  }
}

TEST(Segmenter, EverySegmentOfEveryShape) {
  for (const std::size_t payload : std::initializer_list<std::size_t>{101, 200, 300, 301, 399})
    for (const int flags : {0x18, 0x99})
      for (auto shape : test::all_shapes(payload)) {
        shape.tcp_flags = static_cast<std::uint8_t>(flags);
        const TestPacket packet = test::make_packet(shape);
        for (const std::uint64_t features : {std::uint64_t{0}, feature_guest_csum})
          ASSERT_NO_FATAL_FAILURE(expect_segments(packet, 100, features, segment(packet, 100, features)));
      }
}

TEST(Segmenter, PayloadSplitAtEveryOffset) {
  const TestPacket packet = test::make_packet({.payload = 70});
  for (std::size_t first = 0; first <= packet.bytes.size(); ++first)
    for (const std::size_t second : std::initializer_list<std::size_t>{0, 1, 7})
      ASSERT_NO_FATAL_FAILURE(expect_segments(packet, 9, 0, segment(packet, 9, 0, first, second)));
}

TEST(Segmenter, AsManySegmentsAsAllowedAndNoMore) {
  const TestPacket packet = test::make_packet({.payload = segments_max});
  ASSERT_NO_FATAL_FAILURE(expect_segments(packet, 1, 0, segment(packet, 1, 0)));
  EXPECT_EQ(segment(test::make_packet({.payload = segments_max + 1}), 1, 0).verdict, OffloadVerdict::bad_offload);
}

TEST(Segmenter, SaysHowManyAndThenStops) {
  const TestPacket packet = test::make_packet({.payload = 1000});
  const auto mbuf = test::to_mbuf(packet.bytes);
  mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO;
  mbuf->tso_segsz = 300;
  PacketView whole;
  ASSERT_EQ(prepare_for_guest(mbuf.get(), 0, whole), OffloadVerdict::segment);
  Segmenter segmenter(whole, 0);
  EXPECT_EQ(segmenter.count(), 4U);
  PacketView part;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(segmenter.next(part));
  EXPECT_FALSE(segmenter.next(part));
  EXPECT_FALSE(segmenter.next(part));
  EXPECT_EQ(part.length, 100U);
}

TEST(SegmentCount, Rounds) {
  EXPECT_EQ(segment_count(0, 1), 1U);
  EXPECT_EQ(segment_count(1, 1), 1U);
  EXPECT_EQ(segment_count(100, 100), 1U);
  EXPECT_EQ(segment_count(101, 100), 2U);
  EXPECT_EQ(segment_count(0xffffffffU, 65535), 65537U);
}

}  // namespace
}  // namespace vhostx::net
