// SPDX-License-Identifier: BSD-3-Clause
// Net headers of a driver: every combination against a plain statement of the rules, and checksums completed on entry.
#include "net/offload_from_guest.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "net/segmenter.hpp"
#include "tests/net/packets.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::PacketShape;
using test::TestPacket;

constexpr std::uint64_t all_host_features =
    feature_csum | feature_host_tso4 | feature_host_tso6 | feature_host_ecn | feature_host_uso;

VirtioNetHeader checksum_header(const TestPacket& packet) {
  VirtioNetHeader header;
  header.flags = header_needs_csum;
  header.csum_start = static_cast<std::uint16_t>(packet.l4);
  header.csum_offset = packet.shape.protocol == test::tcp ? 16 : 6;
  return header;
}

/// What a test compares to see that nothing was changed.
struct Snapshot {
  explicit Snapshot(const rte_mbuf* packet)
      : bytes(test::bytes_of(packet)), flags(packet->ol_flags), type(packet->packet_type), size(packet->tso_segsz) {}
  bool operator==(const Snapshot&) const = default;
  Bytes bytes;
  std::uint64_t flags;
  std::uint32_t type;
  std::uint16_t size;
};

TEST(OffloadFromGuest, PartialChecksumsBecomeAReceiveFlag) {
  for (const auto& shape : test::all_shapes(99)) {
    const TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
    const auto mbuf = test::to_mbuf(packet.bytes, 20, 30);
    ASSERT_TRUE(apply_guest_offload(checksum_header(packet), feature_csum, mbuf.get()));
    EXPECT_EQ(mbuf->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE);
    EXPECT_EQ(test::bytes_of(mbuf.get()), packet.bytes);
    EXPECT_NE(mbuf->packet_type & RTE_PTYPE_L4_MASK, 0U);
  }
}

TEST(OffloadFromGuest, SegmentationBecomesLro) {
  for (const auto& shape : test::all_shapes(3000)) {
    const TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
    VirtioNetHeader header = checksum_header(packet);
    header.gso_type = shape.protocol == test::udp ? gso_udp_l4 : shape.ipv6 ? gso_tcpv6 : gso_tcpv4;
    header.gso_size = 1000;
    header.hdr_len = 65535;  // not trusted
    const auto mbuf = test::to_mbuf(packet.bytes);
    ASSERT_TRUE(apply_guest_offload(header, all_host_features, mbuf.get()));
    EXPECT_EQ(mbuf->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO);
    EXPECT_EQ(mbuf->tso_segsz, 1000);
    EXPECT_EQ(test::bytes_of(mbuf.get()), packet.bytes);
  }
}

/// The rules in the order of VIRTIO 1.2, 5.1.6.2, for a packet of this kind and a header whose bounds are right.
bool acceptable(const VirtioNetHeader& header, std::uint64_t features, const PacketShape& shape, bool own_checksum) {
  const bool needs = (header.flags & 1) != 0;
  if (needs && (features & 1) == 0) return false;
  if (header.gso_type == 0) return true;
  if (!needs || header.gso_size == 0 || !own_checksum) return false;
  const bool ecn = header.gso_type >= 0x80;
  if (ecn && (features >> 13 & 1) == 0) return false;
  switch (header.gso_type & 0x7f) {
    case 1:
      return shape.protocol == 6 && !shape.ipv6 && (features >> 11 & 1) != 0;
    case 4:
      return shape.protocol == 6 && shape.ipv6 && (features >> 12 & 1) != 0;
    case 5:
      return shape.protocol == 17 && !ecn && (features >> 56 & 1) != 0;
    default:
      return false;
  }
}

std::uint64_t host_feature_subset(unsigned bits) {
  return (bits & 1 ? feature_csum : 0) | (bits & 2 ? feature_host_tso4 : 0) | (bits & 4 ? feature_host_tso6 : 0) |
         (bits & 8 ? feature_host_ecn : 0) | (bits & 16 ? feature_host_uso : 0);
}

/// All GSO types, features, flags and sizes for one packet, whose checksum is asked for at `start`.
void try_every_header(const TestPacket& packet, bool own_checksum, std::size_t start) {
  const auto mbuf = test::to_mbuf(packet.bytes);
  const Snapshot before(mbuf.get());
  for (unsigned gso_type = 0; gso_type < 256; ++gso_type)
    for (unsigned rest = 0; rest < 32 * 8; ++rest) {
      const std::uint64_t features = host_feature_subset(rest & 31);
      VirtioNetHeader header = checksum_header(packet);
      header.csum_start = static_cast<std::uint16_t>(start);
      header.flags = static_cast<std::uint8_t>(rest >> 5 & 3);  // NEEDS_CSUM, DATA_VALID
      header.gso_type = static_cast<std::uint8_t>(gso_type);
      header.gso_size = rest >> 7 != 0 ? 50 : 0;
      const bool accepted = apply_guest_offload(header, features, mbuf.get());
      ASSERT_EQ(accepted, acceptable(header, features, packet.shape, own_checksum))
          << "type " << gso_type << " flags " << int{header.flags} << " features " << features;
      if (!accepted) {
        ASSERT_TRUE(Snapshot(mbuf.get()) == before);
      }
      const bool none = accepted && own_checksum && (header.flags & 1) != 0;
      ASSERT_EQ(mbuf->ol_flags, (none ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0) | (none && gso_type ? RTE_MBUF_F_RX_LRO : 0));
      if (!accepted) continue;
      mbuf->ol_flags = 0;
      mbuf->packet_type = 0;
      mbuf->tso_segsz = 0;
      std::copy(packet.bytes.begin(), packet.bytes.end(), rte_pktmbuf_mtod(mbuf.get(), std::uint8_t*));
    }
}

TEST(OffloadFromGuest, EveryHeaderForEveryKindOfPacket) {
  for (const std::uint8_t protocol : {test::tcp, test::udp, test::sctp})
    for (const bool ipv6 : {false, true}) {
      const TestPacket packet = test::make_packet({.protocol = protocol, .ipv6 = ipv6, .payload = 120});
      try_every_header(packet, protocol != test::sctp, packet.l4);
      try_every_header(packet, false, packet.l4 + 1);
    }
}

TEST(OffloadFromGuest, TheChecksumFieldLiesWithinThePacket) {
  const TestPacket packet = test::make_packet({.payload = 6});
  const auto length = static_cast<std::uint32_t>(packet.bytes.size());
  for (std::uint32_t start = 0; start <= length + 3; ++start)
    for (std::uint32_t offset = 0; offset <= length + 3; ++offset) {
      const auto mbuf = test::to_mbuf(packet.bytes);
      VirtioNetHeader header;
      header.flags = header_needs_csum;
      header.csum_start = static_cast<std::uint16_t>(start);
      header.csum_offset = static_cast<std::uint16_t>(offset);
      ASSERT_EQ(apply_guest_offload(header, feature_csum, mbuf.get()), start + offset + 2 <= length);
      ASSERT_EQ(mbuf->pkt_len, length);
    }
  for (const auto& [start, offset] : {std::pair{65535, 65535}, {65535, 0}, {0, 65535}, {65535, 1}}) {
    const auto mbuf = test::to_mbuf(packet.bytes);
    VirtioNetHeader header;
    header.flags = header_needs_csum;
    header.csum_start = static_cast<std::uint16_t>(start);
    header.csum_offset = static_cast<std::uint16_t>(offset);
    EXPECT_FALSE(apply_guest_offload(header, feature_csum, mbuf.get()));
    EXPECT_EQ(test::bytes_of(mbuf.get()), packet.bytes);
  }
}

TEST(OffloadFromGuest, EmptyAndTinyPackets) {
  for (std::size_t length = 0; length < 20; ++length)
    for (unsigned gso_type = 0; gso_type < 6; ++gso_type) {
      const auto mbuf = test::to_mbuf(Bytes(length, 0x45));
      VirtioNetHeader header;
      header.flags = header_needs_csum;
      header.gso_type = static_cast<std::uint8_t>(gso_type);
      header.gso_size = 1;
      EXPECT_EQ(apply_guest_offload(header, all_host_features, mbuf.get()), gso_type == 0 && length >= 2);
    }
}

TEST(OffloadFromGuest, AChecksumInsideATunnelIsCompletedAtOnce) {
  const TestPacket inner = test::with_pseudo_sum(test::make_packet({.payload = 33}));
  TestPacket outer = test::make_packet({.protocol = test::udp, .payload = 8 + inner.bytes.size()});
  std::copy(inner.bytes.begin(), inner.bytes.end(), outer.bytes.begin() + static_cast<long>(outer.payload + 8));
  const std::size_t at = outer.payload + 8;
  for (std::size_t split = 0; split < outer.bytes.size(); ++split) {
    const auto mbuf = test::to_mbuf(outer.bytes, split, 1);
    VirtioNetHeader header = checksum_header(inner);
    header.csum_start = static_cast<std::uint16_t>(at + inner.l4);
    ASSERT_TRUE(apply_guest_offload(header, feature_csum, mbuf.get()));
    ASSERT_EQ(mbuf->ol_flags, 0U);
    const Bytes bytes = test::bytes_of(mbuf.get());
    ASSERT_TRUE(test::l4_checksum_good(bytes, at + inner.l3, at + inner.l4, test::tcp)) << split;
    Bytes expected = outer.bytes;
    test::complete_like_guest(header, expected);
    ASSERT_EQ(bytes, expected);
  }
}

TEST(OffloadFromGuest, ChecksumsThatNoFlagCanSayAreCompleted) {
  TestPacket fragment = test::make_packet({.payload = 40});
  test::put_word(fragment.bytes, fragment.l3 + 6, 0x2000);
  TestPacket routed = test::with_pseudo_sum(test::make_packet({.ipv6 = true, .ip_extra = 24, .payload = 40}));
  routed.bytes[routed.l3 + 6] = 43;
  routed.bytes[routed.l3 + 43] = 1;
  TestPacket arp = test::make_packet({.payload = 41});
  test::put_word(arp.bytes, 12, 0x0806);
  for (const TestPacket& packet : {fragment, routed, arp}) {
    const auto mbuf = test::to_mbuf(packet.bytes, 50);
    ASSERT_TRUE(apply_guest_offload(checksum_header(packet), feature_csum, mbuf.get()));
    EXPECT_EQ(mbuf->ol_flags, 0U);
    Bytes expected = packet.bytes;
    test::complete_like_guest(checksum_header(packet), expected);
    EXPECT_EQ(test::bytes_of(mbuf.get()), expected);
  }
}

TEST(OffloadFromGuest, SegmentsAreBounded) {
  const TestPacket packet = test::with_pseudo_sum(test::make_packet({.payload = 60000}));
  VirtioNetHeader header = checksum_header(packet);
  header.gso_type = gso_tcpv4;
  for (std::uint32_t size = 1; size < 60; ++size) {
    header.gso_size = static_cast<std::uint16_t>(size);
    const auto mbuf = test::to_mbuf(packet.bytes);
    EXPECT_EQ(apply_guest_offload(header, all_host_features, mbuf.get()), (60000 + size - 1) / size <= segments_max)
        << size;
  }
}

TEST(OffloadFromGuest, SegmentationOfMoreThanAnIpPacketIsRefused) {
  TestPacket packet = test::with_pseudo_sum(test::make_packet({.payload = 65535 - 40}));
  VirtioNetHeader header = checksum_header(packet);
  header.gso_type = gso_tcpv4;
  header.gso_size = 1448;
  EXPECT_TRUE(apply_guest_offload(header, all_host_features, test::to_mbuf(packet.bytes).get()));
  packet.bytes.push_back(0);
  EXPECT_FALSE(apply_guest_offload(header, all_host_features, test::to_mbuf(packet.bytes).get()));
}

TEST(OffloadFromGuest, DataValidFromADriverMeansNothing) {
  const TestPacket packet = test::make_packet({});
  const auto mbuf = test::to_mbuf(packet.bytes);
  VirtioNetHeader header;
  header.flags = header_data_valid;
  EXPECT_TRUE(apply_guest_offload(header, 0, mbuf.get()));
  EXPECT_EQ(mbuf->ol_flags, 0U);
}

TEST(VirtioNetHeader, LengthFollowsTheFeatures) {
  EXPECT_EQ(header_length(0), 10);
  EXPECT_EQ(header_length(all_host_features), 10);
  EXPECT_EQ(header_length(feature_mrg_rxbuf), 12);
  EXPECT_EQ(header_length(feature_version_1), 12);
  EXPECT_EQ(header_length(feature_version_1 | feature_mrg_rxbuf), 12);
}

}  // namespace
}  // namespace vhostx::net
