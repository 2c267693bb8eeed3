// SPDX-License-Identifier: BSD-3-Clause
#include "tests/net/packets.hpp"

#include <algorithm>
#include <cstring>

#include "tests/support/eal.hpp"

namespace vhostx::test {

namespace {

void append_word(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

void append_ethernet(const PacketShape& shape, Bytes& bytes) {
  for (std::uint8_t i = 1; i <= 12; ++i) bytes.push_back(i);
  for (int tag = shape.vlan_tags; tag > 0; --tag) {
    append_word(bytes, tag == 2 ? 0x88a8 : 0x8100);
    append_word(bytes, 0x0123);
  }
  append_word(bytes, shape.ipv6 ? 0x86dd : 0x0800);
}

void append_ipv4(const PacketShape& shape, std::size_t l4_total, Bytes& bytes) {
  const std::size_t l3 = bytes.size();
  const std::size_t length = 20 + shape.ip_extra;
  bytes.push_back(static_cast<std::uint8_t>(0x40 | (length / 4)));
  bytes.push_back(0);
  append_word(bytes, length + l4_total);
  append_word(bytes, 0xfffe);  // the identification wraps in the third segment
  append_word(bytes, 0);
  bytes.push_back(64);
  bytes.push_back(shape.protocol);
  append_word(bytes, 0);
  for (const int byte : {192, 0, 2, 1, 198, 51, 100, 200}) bytes.push_back(static_cast<std::uint8_t>(byte));
  bytes.insert(bytes.end(), shape.ip_extra, 1);  // no operation
  put_word(bytes, l3 + 10, static_cast<std::uint16_t>(~slow_sum(slice(bytes, l3, length))));
}

void append_ipv6(const PacketShape& shape, std::size_t l4_total, Bytes& bytes) {
  append_word(bytes, 0x6000);
  append_word(bytes, 0);
  append_word(bytes, shape.ip_extra + l4_total);
  bytes.push_back(shape.ip_extra != 0 ? 60 : shape.protocol);
  bytes.push_back(64);
  for (std::size_t i = 0; i < 32; ++i) bytes.push_back(static_cast<std::uint8_t>(0x20 + 3 * i));
  if (shape.ip_extra == 0) return;
  bytes.push_back(shape.protocol);
  bytes.push_back(static_cast<std::uint8_t>(shape.ip_extra / 8 - 1));
  bytes.insert(bytes.end(), shape.ip_extra - 2, 0);  // Pad1
}

void append_l4(const PacketShape& shape, std::size_t l4_total, Bytes& bytes) {
  append_word(bytes, 1234);
  append_word(bytes, 80);
  if (shape.protocol == udp) {
    append_word(bytes, l4_total);
    append_word(bytes, 0);
  } else if (shape.protocol == tcp) {
    append_word(bytes, 0xffff);  // the sequence number wraps within the packet
    append_word(bytes, 0xff00);
    append_word(bytes, 0x0102);
    append_word(bytes, 0x0304);
    bytes.push_back(static_cast<std::uint8_t>((20 + shape.tcp_options) / 4 << 4));
    bytes.push_back(shape.tcp_flags);
    append_word(bytes, 4096);
    append_word(bytes, 0);
    append_word(bytes, 0);
    bytes.insert(bytes.end(), shape.tcp_options, 1);
  } else {
    bytes.insert(bytes.end(), 8, 0);
  }
}

std::size_t l4_header_length(const PacketShape& shape) {
  if (shape.protocol == udp) return 8;
  return shape.protocol == tcp ? 20 + shape.tcp_options : 12;
}

}  // namespace

TestPacket make_packet(const PacketShape& shape) {
  TestPacket packet;
  packet.shape = shape;
  const std::size_t l4_total = l4_header_length(shape) + shape.payload;
  append_ethernet(shape, packet.bytes);
  packet.l3 = packet.bytes.size();
  if (shape.ipv6)
    append_ipv6(shape, l4_total, packet.bytes);
  else
    append_ipv4(shape, l4_total, packet.bytes);
  packet.l4 = packet.bytes.size();
  append_l4(shape, l4_total, packet.bytes);
  packet.payload = packet.bytes.size();
  for (std::size_t i = 0; i < shape.payload; ++i) packet.bytes.push_back(static_cast<std::uint8_t>(i * 7 + (i >> 8)));
  if (shape.protocol != tcp && shape.protocol != udp) return packet;
  packet = with_pseudo_sum(packet);
  auto sum = static_cast<std::uint16_t>(~slow_sum(slice(packet.bytes, packet.l4, l4_total)));
  put_word(packet.bytes, packet.checksum_field(), sum == 0 ? 0xffff : sum);
  return packet;
}

TestPacket with_pseudo_sum(TestPacket packet) {
  put_word(packet.bytes, packet.checksum_field(),
           slow_pseudo_sum(packet.bytes, packet.l3, packet.l4, packet.shape.protocol));
  return packet;
}

std::vector<PacketShape> all_shapes(std::size_t payload) {
  std::vector<PacketShape> shapes;
  for (const std::uint8_t protocol : {tcp, udp})
    for (const bool ipv6 : {false, true})
      for (const int tags : {0, 1, 2})
        for (const std::size_t extra : std::initializer_list<std::size_t>{0, 8, 40})
          for (const std::size_t options : std::initializer_list<std::size_t>{0, 12, 40}) {
            if (protocol == udp && options != 0) continue;
            shapes.push_back({protocol, ipv6, tags, extra, options, 0x18, payload});
          }
  return shapes;
}

std::uint16_t slow_sum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += (i % 2 == 0) ? bytes[i] * 256U : bytes[i];
    if (sum > 0xffff) sum -= 0xffff;  // end-around carry
  }
  return static_cast<std::uint16_t>(sum);
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t length) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(from);
  return {begin, begin + static_cast<std::ptrdiff_t>(length)};
}

std::uint16_t word_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes.at(at) * 256 + bytes.at(at + 1));
}

void put_word(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

std::uint32_t long_at(const Bytes& bytes, std::size_t at) {
  return word_at(bytes, at) * 65536U + word_at(bytes, at + 2);
}

std::size_t l4_length(const Bytes& bytes, std::size_t l3, std::size_t l4) {
  if (bytes.at(l3) >> 4 == 4) return word_at(bytes, l3 + 2) - (l4 - l3);
  return word_at(bytes, l3 + 4) + 40U - (l4 - l3);
}

std::uint16_t slow_pseudo_sum(const Bytes& bytes, std::size_t l3, std::size_t l4, std::uint8_t protocol) {
  Bytes pseudo = bytes.at(l3) >> 4 == 4 ? slice(bytes, l3 + 12, 8) : slice(bytes, l3 + 8, 32);
  append_word(pseudo, protocol);
  append_word(pseudo, l4_length(bytes, l3, l4));
  return slow_sum(pseudo);
}

bool l4_checksum_good(const Bytes& bytes, std::size_t l3, std::size_t l4, std::uint8_t protocol) {
  const std::size_t length = l4_length(bytes, l3, l4);
  if (protocol == udp && word_at(bytes, l4 + 6) == 0) return false;  // "none" is not what anybody asked for
  Bytes sums;
  append_word(sums, slow_pseudo_sum(bytes, l3, l4, protocol));
  append_word(sums, slow_sum(slice(bytes, l4, length)));
  return slow_sum(sums) == 0xffff;
}

bool ip_checksum_good(const Bytes& bytes, std::size_t l3) {
  if (bytes.at(l3) >> 4 != 4) return true;
  return slow_sum(slice(bytes, l3, (bytes.at(l3) & 15U) * 4)) == 0xffff;
}

void complete_like_guest(const net::VirtioNetHeader& header, Bytes& bytes) {
  if ((header.flags & net::header_needs_csum) == 0) return;
  const auto sum =
      static_cast<std::uint16_t>(~slow_sum(slice(bytes, header.csum_start, bytes.size() - header.csum_start)));
  put_word(bytes, std::size_t{header.csum_start} + header.csum_offset, sum == 0 ? 0xffff : sum);
}

MbufPtr to_mbuf(const Bytes& bytes, std::size_t first, std::size_t second) {
  constexpr std::size_t room = 2048;
  rte_mempool* pool = test_pool(room);
  MbufPtr head;
  rte_mbuf* last = nullptr;
  std::size_t at = 0;
  for (int index = 0; head == nullptr || at < bytes.size(); ++index) {
    const std::size_t wanted = index == 0 ? first : index == 1 ? second : SIZE_MAX;
    const std::size_t count = std::min({wanted, bytes.size() - at, room});
    rte_mbuf* piece = rte_pktmbuf_alloc(pool);
    if (piece == nullptr) return nullptr;
    if (count != 0) std::memcpy(rte_pktmbuf_append(piece, static_cast<std::uint16_t>(count)), bytes.data() + at, count);
    at += count;
    if (head == nullptr) {
      head.reset(piece);
    } else {
      last->next = piece;
      head->nb_segs++;
      head->pkt_len += piece->data_len;
    }
    last = piece;
  }
  return head;
}

Bytes bytes_of(const rte_mbuf* packet) {
  Bytes bytes;
  for (; packet != nullptr; packet = packet->next) {
    const auto* data = rte_pktmbuf_mtod(packet, const std::uint8_t*);
    bytes.insert(bytes.end(), data, data + packet->data_len);
  }
  return bytes;
}

Bytes bytes_of(const net::PacketView& view) {
  Bytes bytes(view.prefix, view.prefix + view.prefix_length);
  const Bytes all = bytes_of(view.mbuf);
  const Bytes rest = slice(all, view.offset, view.length);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

}  // namespace vhostx::test
