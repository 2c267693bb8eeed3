// SPDX-License-Identifier: BSD-3-Clause
#include "net/peeked_burst.hpp"

#include <algorithm>
#include <cstring>

#include <rte_mbuf.h>

#include "memory/load_hook.hpp"

namespace vhostx::net {

void PeekedBurst::reset_heads() noexcept {
  for (std::size_t i = 0; i < packets.size(); ++i) packets[i].head = short_heads[i].bytes;
}

const rte_mbuf& PeekedBurst::whole(std::size_t i) noexcept { return build(i); }

const rte_mbuf& PeekedBurst::whole_private(std::size_t i) noexcept {
  std::uint8_t* to = completed.data();
  for_each_rest(i, [&to](const memory::HostSpan& span) {
    std::memcpy(to, span.data, span.size);
    memory::loaded(span.data, span.size);
    to += span.size;
  });
  rte_mbuf& first = build(i);
  first.next = nullptr;
  first.nb_segs = 1;
  add_segment(&first, completed.data(), static_cast<std::size_t>(to - completed.data()));
  return first;
}

rte_mbuf& PeekedBurst::build(std::size_t i) noexcept {
  const PeekedPacket& packet = packets[i];
  const Detail detail = is_plain(i) ? Detail{} : details[i];
  rte_mbuf& first = segments[0];
  first.buf_addr = packet.head;
  first.data_off = 0;
  first.data_len = packet.head_length;
  first.pkt_len = packet.length;
  first.nb_segs = 1;
  first.next = nullptr;
  first.ol_flags = detail.ol_flags;
  first.packet_type = detail.packet_type;
  first.tso_segsz = detail.tso_segsz;
  rte_mbuf* last = &first;
  for_each_rest(i, [&](const memory::HostSpan& span) { last = add_segment(last, span.data, span.size); });
  return first;
}

// At most one piece of a packet is cut in two: two such large pieces would exceed the largest packet.
rte_mbuf* PeekedBurst::add_segment(rte_mbuf* last, const std::uint8_t* data, std::size_t length) noexcept {
  constexpr std::size_t segment_bytes_max = 65535;  // data_len
  while (length != 0) {
    const std::size_t part = std::min(length, segment_bytes_max);
    rte_mbuf& segment = segments[segments[0].nb_segs++];
    segment.buf_addr = memory::unqualified(data);
    segment.data_off = 0;
    segment.data_len = static_cast<std::uint16_t>(part);
    segment.next = nullptr;
    last->next = &segment;
    last = &segment;
    data += part;
    length -= part;
  }
  return last;
}

}  // namespace vhostx::net
