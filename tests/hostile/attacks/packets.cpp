// SPDX-License-Identifier: BSD-3-Clause
// Packets: their sizes, how they are cut, and what their net headers claim.
#include <array>
#include <cstring>

#include "net/virtio_net_header.hpp"
#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {
namespace {

using net::VirtioNetHeader;
using virtqueue::Descriptor;

constexpr std::uint32_t to_guest = 0, from_guest = 1;
constexpr std::uint32_t header_length = 12;

// ---- cut

/// A chain of these lengths from one buffer on, one behind the other.
void show_pieces(Attacker& attacker, const std::vector<std::uint32_t>& lengths, std::uint64_t buffer) {
  for (std::uint16_t i = 0; i < lengths.size(); buffer += lengths[i], ++i)
    attacker.descriptor(from_guest, i) = {buffer, lengths[i], i + 1U < lengths.size() ? next : std::uint16_t{0},
                                          static_cast<std::uint16_t>(i + 1)};
  attacker.show(from_guest, {0});
}
Group::Run pieces(std::vector<std::uint32_t> lengths) {
  return [=](Attacker& attacker) {
    attacker.running();
    const auto large = attacker.guest().memory().allocate(1 << 17, 64);
    show_pieces(attacker, lengths, large.guest);
    attacker.await_used(from_guest, 1);
  };
}

/// The next `count` receive buffers have this length, and so many frames come.
Group::Run receive_buffers(std::uint32_t length, FeatureSet features, unsigned frames, std::uint16_t count = 64) {
  return [=](Attacker& attacker) {
    attacker.running({.features = features});
    for (std::uint16_t i = 0; i < count; ++i) attacker.descriptor(to_guest, i).length = length;
    attacker.feed(frames);
  };
}

void add_cuts_of_packets(Group& group) {
  group.add("shorter-than-the-net-header", dropped("drop_short_chain"), pieces({11}), "2022-2132");
  group.add("of-one-byte", dropped("drop_short_chain"), pieces({1}), "2022-2132");
  group.add("of-no-bytes", dropped("drop_short_chain"), pieces({0}));
  group.add("header-cut-over-two-and-too-short", dropped("drop_short_chain"), pieces({6, 5}), "2022-2132");
  group.add("exactly-the-net-header", dropped("drop_short_chain"), pieces({12}));
  group.add("shorter-than-ethernet", dropped("drop_short_chain"), pieces({12, 13}));
  group.add("exactly-ethernet", harmless(), pieces({12, 14}));
  group.add("header-in-twelve-pieces", harmless(), pieces({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 64}));
  group.add("header-in-pieces-of-no-bytes", harmless(), pieces({0, 6, 0, 6, 0, 64, 0}));
  group.add("of-65-kib-in-one-piece", dropped("drop_too_large"), pieces({12 + 66000}));
  group.add("of-65-kib-in-pieces", dropped("drop_too_large"), pieces({12, 30000, 30000, 6000}));
  group.add("of-4-mib-again-and-again", dropped("drop_too_large"), [](Attacker& attacker) {
    attacker.running();
    const auto large = attacker.guest().memory().allocate(1 << 17, 64);
    for (std::uint16_t i = 0; i < 64; ++i)
      attacker.descriptor(from_guest, i) = {large.guest, 1 << 16, i < 63 ? next : std::uint16_t{0},
                                            static_cast<std::uint16_t>(i + 1)};
    for (unsigned i = 1; i <= 2000; ++i) {
      attacker.show(from_guest, {0});
      attacker.await_used(from_guest, i);
    }
  });
  const FeatureSet mergeable{V::net_mrg_rxbuf};
  group.add("into-buffers-of-one-byte", dropped("drop_too_large"), receive_buffers(1, mergeable, 1), "2026-86566");
  group.add("into-buffers-of-no-bytes", dropped("drop_too_large"), receive_buffers(0, mergeable, 1), "2026-86566");
  group.add("into-buffers-of-eleven-bytes", dropped("drop_too_large"), receive_buffers(11, mergeable, 8), "2026-86566");
  group.add("into-good-buffers-behind-buffers-of-one-byte", dropped("short_buffers"),
            receive_buffers(1, mergeable, 4, 32), "2026-86566");
  group.add("into-good-buffers-behind-buffers-of-no-bytes", dropped("short_buffers"), receive_buffers(0, {}, 4, 63),
            "2026-86566");
  group.add("into-buffers-of-a-net-header", dropped("drop_too_large"), receive_buffers(12, {}, 1), "2026-86566");
  group.add("into-buffers-of-a-net-header-and-mergeable", harmless(), receive_buffers(12, mergeable, 1));
  group.add("into-buffers-of-thirteen-bytes", harmless(), receive_buffers(13, mergeable, 4));
}

// ---- net headers

enum class Ip { v4, v6 };

/// Ethernet, IP, and TCP or UDP as their numbers say, and zeros.
std::vector<std::uint8_t> packet(Ip ip, std::uint8_t protocol, std::size_t bytes) {
  std::vector<std::uint8_t> p(bytes);
  const std::size_t l4 = ip == Ip::v4 ? 34 : 54;
  p[12] = ip == Ip::v4 ? 0x08 : 0x86;
  p[13] = ip == Ip::v4 ? 0x00 : 0xdd;
  p[14] = ip == Ip::v4 ? 0x45 : 0x60;
  const auto length = static_cast<std::uint16_t>(bytes - (ip == Ip::v4 ? 14 : 54));
  const std::size_t length_at = ip == Ip::v4 ? 16 : 18;
  p[length_at] = static_cast<std::uint8_t>(length >> 8);
  p[length_at + 1] = static_cast<std::uint8_t>(length);
  p[ip == Ip::v4 ? 23 : 20] = protocol;
  if (protocol == 6) p[l4 + 12] = 0x50;
  return p;
}
constexpr std::uint8_t tcp = 6, udp = 17;

constexpr VirtioNetHeader every_bit{0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff};

using Change = std::function<void(VirtioNetHeader&, std::vector<std::uint8_t>&)>;

const FeatureSet offloads{V::net_csum, V::net_host_tso4, V::net_host_tso6, V::net_host_uso, V::net_mrg_rxbuf};

/// A TCP packet of 3000 bytes to be cut, but for the change.
Group::Run headed(Change change, FeatureSet features = offloads) {
  return [=](Attacker& attacker) {
    attacker.running({.features = features});
    auto bytes = packet(Ip::v4, tcp, 3000);
    VirtioNetHeader header{net::header_needs_csum, net::gso_tcpv4, 54, 1460, 34, 16, 0};
    change(header, bytes);
    const auto at = attacker.guest().memory().allocate(header_length + bytes.size(), 64);
    std::memcpy(at.at, &header, header_length);
    std::memcpy(at.at + header_length, bytes.data(), bytes.size());
    attacker.descriptor(from_guest, 0) = {at.guest, header_length + static_cast<std::uint32_t>(bytes.size()), 0, 0};
    attacker.show(from_guest, {0});
    attacker.await_used(from_guest, 1);
  };
}
/// The checksum alone.
Group::Run summed(std::uint16_t start, std::uint16_t offset) {
  return headed([=](VirtioNetHeader& header, std::vector<std::uint8_t>& bytes) {
    header = {net::header_needs_csum, net::gso_none, 0, 0, start, offset, 0};
    bytes.resize(100);
  });
}

void add_checksums(Group& group) {
  const auto bad = [] { return dropped("drop_bad_header"); };
  group.add("checksum-past-the-packet", bad(), summed(34, 1000), "2024-11614");
  group.add("checksum-one-byte-past-the-packet", bad(), summed(35, 64), "2024-11614");
  group.add("checksum-start-past-the-packet", bad(), summed(101, 0), "2024-11614");
  group.add("checksum-start-and-offset-that-wrap", bad(), summed(65535, 65535), "2024-11614");
  group.add("checksum-start-65535-and-offset-2", bad(), summed(65535, 2), "2024-11614");
  group.add("checksum-in-the-last-two-bytes", harmless(), summed(34, 64));
  group.add("checksum-of-everything-into-the-first-bytes", harmless(), summed(0, 0));
  group.add("checksum-not-negotiated", bad(),
            headed([](VirtioNetHeader& h, auto&) { h.gso_type = net::gso_none; }, {V::net_mrg_rxbuf}));
  group.add("header-of-every-bit", bad(), headed([](VirtioNetHeader& h, auto&) { h = every_bit; }));
  group.add("header-of-every-bit-and-nothing-negotiated", bad(),
            headed([](VirtioNetHeader& h, auto&) { h = every_bit; }, {}));
}

void add_segmentation(Group& group) {
  const auto bad = [] { return dropped("drop_bad_header"); };
  group.add("tso-whole", harmless(), headed([](VirtioNetHeader&, auto&) {}));
  group.add("tso-without-checksum", bad(), headed([](VirtioNetHeader& h, auto&) { h.flags = 0; }));
  group.add("tso-of-segments-of-0", bad(), headed([](VirtioNetHeader& h, auto&) { h.gso_size = 0; }));
  group.add("tso-into-too-many-segments", bad(), headed([](VirtioNetHeader& h, auto& bytes) {
              bytes = packet(Ip::v4, tcp, 60000);
              h.gso_size = 1;
            }));
  group.add("tso-of-segments-of-65535", harmless(), headed([](VirtioNetHeader& h, auto&) { h.gso_size = 65535; }));
  group.add("tso-whose-hdr-len-is-65535", harmless(), headed([](VirtioNetHeader& h, auto&) { h.hdr_len = 65535; }));
  group.add("tso-whose-num-buffers-is-65535", harmless(),
            headed([](VirtioNetHeader& h, auto&) { h.num_buffers = 65535; }));
  group.add("gso-type-unknown", bad(), headed([](VirtioNetHeader& h, auto&) { h.gso_type = 2; }));
  group.add("ufo-never-offered", bad(), headed([](VirtioNetHeader& h, auto&) { h.gso_type = net::gso_udp; }));
  group.add("ecn-not-negotiated", bad(),
            headed([](VirtioNetHeader& h, auto&) { h.gso_type = net::gso_tcpv4 | net::gso_ecn; }));
  group.add("tso-not-negotiated", bad(), headed([](VirtioNetHeader&, auto&) {}, {V::net_csum}));
  group.add("tso-of-ipv6-that-is-ipv4", bad(), headed([](VirtioNetHeader& h, auto&) { h.gso_type = net::gso_tcpv6; }));
  group.add("uso-that-is-tcp", bad(), headed([](VirtioNetHeader& h, auto&) { h.gso_type = net::gso_udp_l4; }));
  group.add("tso-of-a-packet-of-zeros", bad(),
            headed([](VirtioNetHeader&, auto& bytes) { std::fill(bytes.begin(), bytes.end(), std::uint8_t{0}); }));
  group.add("tso-whose-ip-header-is-too-long", bad(), headed([](VirtioNetHeader&, auto& bytes) { bytes[14] = 0x4f; }));
  group.add("tso-whose-ip-header-is-too-short", bad(), headed([](VirtioNetHeader&, auto& bytes) { bytes[14] = 0x41; }));
  group.add("tso-whose-tcp-header-is-past-the-end", bad(), headed([](VirtioNetHeader&, auto& bytes) {
              bytes.resize(60);
              bytes[34 + 12] = 0xf0;
            }));
  group.add("tso-whose-tcp-header-is-too-short", bad(),
            headed([](VirtioNetHeader&, auto& bytes) { bytes[34 + 12] = 0x10; }));
  group.add("tso-whose-ip-length-lies", survived(), headed([](VirtioNetHeader&, auto& bytes) { bytes[16] = 0xff; }));
  group.add("tso-of-a-fragment", survived(), headed([](VirtioNetHeader&, auto& bytes) { bytes[20] = 0x20; }));
  group.add("tso-behind-vlan-tags-without-end", bad(), headed([](VirtioNetHeader&, auto& bytes) {
              for (std::size_t at = 12; at + 4 < bytes.size(); at += 4) bytes[at] = 0x81, bytes[at + 1] = 0;
            }));
  group.add("tso-behind-ipv6-extensions-without-end", bad(), headed([](VirtioNetHeader& h, auto& bytes) {
              bytes = packet(Ip::v6, 0, 3000);  // hop-by-hop, behind which is hop-by-hop
              h.gso_type = net::gso_tcpv6;
            }));
  group.add("uso-of-segments-of-1", survived(), headed([](VirtioNetHeader& h, auto& bytes) {
              bytes = packet(Ip::v4, udp, 500);
              h = {net::header_needs_csum, net::gso_udp_l4, 42, 1, 34, 6, 0};
            }));
}

}  // namespace

void add_packet_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "packets", kind);
    add_cuts_of_packets(group);
    Group headers(attacks, "headers", kind);
    add_checksums(headers);
    add_segmentation(headers);
  }
}

}  // namespace vhostx::hostile
