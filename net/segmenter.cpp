// SPDX-License-Identifier: BSD-3-Clause
// Segments as a NIC would make them: headers copied and edited, payload left where it is.
#include "net/segmenter.hpp"

#include <algorithm>
#include <cstring>

#include <rte_mbuf.h>

#include "net/checksum.hpp"
#include "net/ip_sums.hpp"
#include "net/wire.hpp"

namespace vhostx::net {

namespace {

constexpr std::uint8_t tcp_flags_of_last = 0x01 | 0x08;  // FIN, PSH
constexpr std::uint8_t tcp_flags_of_first = 0x80;        // CWR (RFC 3168, 6.1.2: once for one reduction)

std::uint32_t l4_header_length(const PacketView& whole) noexcept {
  return std::uint32_t{whole.prefix_length} - whole.header.csum_start;
}

}  // namespace

Segmenter::Segmenter(const PacketView& whole, std::uint64_t features) noexcept
    : whole_(whole),
      mbuf_(whole.mbuf),
      offset_(whole.offset),
      count_(std::min(segment_count(whole.length, whole.header.gso_size), segments_max)),
      guest_checksums_((features & feature_guest_csum) != 0) {}

bool Segmenter::next(PacketView& segment) noexcept {
  if (index_ == count_) return false;
  advance(0);  // to the mbuf that has the next byte
  const std::uint32_t size = std::min<std::uint32_t>(whole_.header.gso_size, whole_.length - done_);
  segment.header = VirtioNetHeader{};
  segment.prefix_length = whole_.prefix_length;
  segment.network_offset = whole_.network_offset;
  segment.mbuf = mbuf_;
  segment.offset = offset_;
  segment.length = size;
  std::memcpy(segment.prefix, whole_.prefix, whole_.prefix_length);
  edit_ip(segment);
  edit_l4(segment);
  write_checksum(segment);
  advance(size);
  done_ += size;
  ++index_;
  return true;
}

void Segmenter::edit_ip(PacketView& segment) const noexcept {
  std::uint8_t* ip = segment.prefix + segment.network_offset;
  const std::uint32_t total = segment.packet_length() - segment.network_offset;
  if ((ip[0] >> 4) != 4) {
    store_be16(ip + 4, total - 40);
    return;
  }
  store_be16(ip + 2, total);
  store_be16(ip + 4, load_be16(ip + 4) + index_);  // identification, which must differ (RFC 791, 3.2)
  write_ipv4_checksum(ip);
}

void Segmenter::edit_l4(PacketView& segment) const noexcept {
  std::uint8_t* l4 = segment.prefix + whole_.header.csum_start;
  if (whole_.header.gso_type == gso_udp_l4) {
    store_be16(l4 + 4, l4_header_length(whole_) + segment.length);
    return;
  }
  store_be32(l4 + 4, load_be32(l4 + 4) + done_);
  if (index_ + 1 != count_) l4[13] = static_cast<std::uint8_t>(l4[13] & ~tcp_flags_of_last);
  if (index_ != 0) l4[13] = static_cast<std::uint8_t>(l4[13] & ~tcp_flags_of_first);
}

void Segmenter::write_checksum(PacketView& segment) const noexcept {
  const std::uint16_t start = whole_.header.csum_start;
  const std::uint32_t header_length = l4_header_length(whole_);
  std::uint8_t* field = segment.prefix + start + whole_.header.csum_offset;
  store_raw16(field, sum_for_length(load_raw16(field), header_length + whole_.length, header_length + segment.length));
  if (guest_checksums_) {
    segment.header.flags = header_needs_csum;
    segment.header.csum_start = start;
    segment.header.csum_offset = whole_.header.csum_offset;
    return;
  }
  OnesSum sum;
  sum.add(segment.prefix + start, header_length);
  sum.add(segment.mbuf, segment.offset, segment.length);
  store_raw16(field, sum.checksum());
}

void Segmenter::advance(std::uint32_t bytes) noexcept {
  offset_ += bytes;
  while (mbuf_ != nullptr && offset_ >= mbuf_->data_len && mbuf_->next != nullptr) {
    offset_ -= mbuf_->data_len;
    mbuf_ = mbuf_->next;
  }
}

}  // namespace vhostx::net
