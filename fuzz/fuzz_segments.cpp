// SPDX-License-Identifier: BSD-3-Clause
// Packets whose checksum or segmentation somebody asked for, to guests that take some of it and not the rest, against a
// reference that builds each packet anew and sums byte by byte. What fuzz_offload checks of any request, this one
// checks of those that make sense: every byte.
//
// Input: Choices.
#include <cstdlib>
#include <vector>

#include <rte_mbuf.h>

#include "fuzz/choices.hpp"
#include "net/offload_to_guest.hpp"
#include "net/segmenter.hpp"
#include "tests/net/packets.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::net;
using fuzz::Choices;
using test::Bytes;
using test::TestPacket;

void require(bool holds) {
  if (!holds) std::abort();
}

/// What is asked for a packet, and of whom.
struct Wish {
  bool transmit = false;           ///< By an application's flags; else by those of a packet that was received so.
  std::uint16_t segment_size = 0;  ///< 0: no segmentation
  std::uint64_t features = 0;      ///< The guest's.
};

void write_ip_checksum(TestPacket& packet) {
  if (packet.shape.ipv6) return;
  test::put_word(packet.bytes, packet.l3 + 10, 0);
  const auto sum = test::slow_sum(test::slice(packet.bytes, packet.l3, packet.l4 - packet.l3));
  test::put_word(packet.bytes, packet.l3 + 10, static_cast<std::uint16_t>(~sum));
}

/// Values that lead nowhere: addresses, ports, numbers, flags, payload.
void vary(TestPacket& packet, Choices& choices) {
  const bool ipv6 = packet.shape.ipv6;
  const std::size_t addresses = packet.l3 + (ipv6 ? 8 : 12);
  for (std::size_t i = 0; i < (ipv6 ? 32U : 8U); ++i) packet.bytes[addresses + i] = choices.byte();
  if (!ipv6)
    test::put_word(packet.bytes, packet.l3 + 4, choices.pick<std::size_t>({0, 0xffff, 0xfffe, choices.byte()}));
  for (std::size_t i = 0; i < 4; ++i) packet.bytes[packet.l4 + i] = choices.byte();
  if (packet.shape.protocol == test::tcp)
    for (const std::size_t i : {4U, 5U, 6U, 7U, 8U, 11U, 14U, 15U, 18U, 19U})
      packet.bytes[packet.l4 + i] = choices.byte();
  const std::uint8_t step = choices.byte();
  for (std::size_t i = packet.payload; i < packet.bytes.size(); ++i)
    packet.bytes[i] = static_cast<std::uint8_t>(packet.bytes[i] * step + (choices.empty() ? 0 : choices.byte()));
  write_ip_checksum(packet);
}

TestPacket make_packet(Choices& choices) {
  const std::uint8_t protocol = choices.pick({test::tcp, test::udp});
  const std::size_t payload = choices.pick<std::size_t>({100, 1, 0, 99, 101, 200, 1399, 2500, choices.byte()});
  TestPacket packet = test::make_packet({.protocol = protocol,
                                         .ipv6 = choices.one_in(2),
                                         .vlan_tags = static_cast<int>(choices.below(3)),
                                         .ip_extra = choices.pick<std::size_t>({0, 8, 40}),
                                         .tcp_options = choices.pick<std::size_t>({0, 12, 40}),
                                         .tcp_flags = choices.byte(),
                                         .payload = payload});
  vary(packet, choices);
  return test::with_pseudo_sum(packet);
}

Wish make_wish(Choices& choices) {
  Wish wish{.transmit = choices.one_in(2),
            .segment_size = choices.pick<std::uint16_t>({0, 100, 1, 2, 7, 99, 1400, 65535})};
  for (const std::uint64_t feature : {feature_guest_csum, feature_guest_tso4, feature_guest_tso6, feature_guest_ecn,
                                      feature_guest_uso4, feature_guest_uso6})
    if (choices.one_in(2)) wish.features |= feature;
  return wish;
}

test::MbufPtr make_mbuf(const TestPacket& packet, const Wish& wish, Choices& choices) {
  const auto cut = [&choices] { return choices.one_in(2) ? SIZE_MAX : std::size_t{choices.byte()}; };
  const std::size_t first = cut();
  auto mbuf = test::to_mbuf(packet.bytes, first, cut());
  const bool is_tcp = packet.shape.protocol == test::tcp;
  if (!wish.transmit) {
    mbuf->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE | (wish.segment_size != 0 ? RTE_MBUF_F_RX_LRO : 0);
  } else {
    mbuf->ol_flags = (is_tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM) |
                     (packet.shape.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    if (wish.segment_size != 0) mbuf->ol_flags |= is_tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
    mbuf->l2_len = packet.l3 & 0x7f;
    mbuf->l3_len = (packet.l4 - packet.l3) & 0x1ff;
    mbuf->l4_len = (packet.payload - packet.l4) & 0xff;
  }
  mbuf->tso_segsz = wish.segment_size;
  return mbuf;
}

// ---- the reference

std::uint8_t gso_type(const TestPacket& packet) {
  if (packet.shape.protocol == test::udp) return gso_udp_l4;
  const bool reduced = (packet.shape.tcp_flags & 0x80) != 0;
  return static_cast<std::uint8_t>((packet.shape.ipv6 ? gso_tcpv6 : gso_tcpv4) | (reduced ? gso_ecn : 0));
}

bool guest_takes(const TestPacket& packet, std::uint64_t features) {
  const std::uint8_t type = gso_type(packet);
  const bool ipv6 = packet.shape.ipv6;
  std::uint64_t wanted = feature_guest_csum;
  if (type == gso_udp_l4)
    wanted |= ipv6 ? feature_guest_uso6 : feature_guest_uso4;
  else
    wanted |= (ipv6 ? feature_guest_tso6 : feature_guest_tso4) | ((type & gso_ecn) != 0 ? feature_guest_ecn : 0);
  return (features & wanted) == wanted;
}

/// Segment `index`, with the pseudo header's sum (as VIRTIO 1.2, 5.1.6.4.1 wants it, and as a NIC goes on from).
TestPacket reference_segment(const TestPacket& packet, std::size_t index, std::size_t size) {
  const std::size_t done = index * size;
  const std::size_t part = std::min(size, packet.shape.payload - done);
  TestPacket segment = packet;
  segment.bytes.resize(packet.payload);
  const Bytes payload = test::slice(packet.bytes, packet.payload + done, part);
  segment.bytes.insert(segment.bytes.end(), payload.begin(), payload.end());
  const std::size_t l3_bytes = segment.bytes.size() - packet.l3;
  if (packet.shape.ipv6) {
    test::put_word(segment.bytes, packet.l3 + 4, l3_bytes - 40);
  } else {
    test::put_word(segment.bytes, packet.l3 + 2, l3_bytes);
    test::put_word(segment.bytes, packet.l3 + 4, test::word_at(packet.bytes, packet.l3 + 4) + index);
    write_ip_checksum(segment);
  }
  if (packet.shape.protocol == test::udp) {
    test::put_word(segment.bytes, packet.l4 + 4, segment.bytes.size() - packet.l4);
  } else {
    const auto sequence = test::long_at(packet.bytes, packet.l4 + 4) + static_cast<std::uint32_t>(done);
    test::put_word(segment.bytes, packet.l4 + 4, sequence >> 16);
    test::put_word(segment.bytes, packet.l4 + 6, sequence);
    std::uint8_t& flags = segment.bytes[packet.l4 + 13];
    if (done + part != packet.shape.payload) flags &= 0xf6;  // FIN and PSH are the last one's
    if (index != 0) flags &= 0x7f;                           // CWR is the first one's
  }
  return test::with_pseudo_sum(segment);
}

/// Byte for byte: as it is, with what the guest is to complete; or completed.
void require_delivered(const PacketView& view, const TestPacket& expected, const Wish& wish, bool large) {
  VirtioNetHeader header{.flags = header_needs_csum,
                         .csum_start = static_cast<std::uint16_t>(expected.l4),
                         .csum_offset = static_cast<std::uint16_t>(expected.checksum_field() - expected.l4)};
  Bytes bytes = expected.bytes;
  if ((wish.features & feature_guest_csum) == 0) {
    test::complete_like_guest(header, bytes);
    header = {};
  }
  if (large) {
    header.gso_type = gso_type(expected);
    header.gso_size = wish.segment_size;
    header.hdr_len = static_cast<std::uint16_t>(expected.payload);
  }
  require(view.header == header);
  require(test::bytes_of(view) == bytes);
}

void require_segments(const PacketView& whole, const TestPacket& packet, const Wish& wish) {
  Segmenter segmenter(whole, wish.features);
  std::size_t count = 0;
  for (PacketView segment; segmenter.next(segment); ++count)
    require_delivered(segment, reference_segment(packet, count, wish.segment_size), wish, false);
  require(count == (packet.shape.payload + wish.segment_size - 1) / wish.segment_size && count == segmenter.count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  const Wish wish = make_wish(choices);
  const TestPacket packet = make_packet(choices);
  const auto mbuf = make_mbuf(packet, wish, choices);
  PacketView view;
  const OffloadVerdict verdict = prepare_for_guest(mbuf.get(), wish.features, view);
  const bool large = wish.segment_size != 0 && packet.shape.payload > wish.segment_size;
  if (large && (packet.shape.payload - 1) / wish.segment_size + 1 > segments_max) {
    require(verdict == OffloadVerdict::bad_offload);
  } else if (large && !guest_takes(packet, wish.features)) {
    require(verdict == OffloadVerdict::segment);
    require_segments(view, packet, wish);
  } else {
    const bool by_guest = (wish.features & feature_guest_csum) != 0;
    require(verdict == (by_guest ? OffloadVerdict::ready : OffloadVerdict::ready_checksummed));
    require_delivered(view, packet, wish, large);
  }
  require(test::bytes_of(mbuf.get()) == packet.bytes);
  return 0;
}
