// SPDX-License-Identifier: BSD-3-Clause
// A packet with any net header comes in from one guest and goes out to another that negotiated anything; or comes from
// an application with any offload request.
//
// Input: the Control below, then the packet.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <vhostx/offload.hpp>

#include "fuzz/mbuf_chain.hpp"
#include "net/offload_from_guest.hpp"
#include "net/offload_to_guest.hpp"
#include "net/segmenter.hpp"

namespace {

using namespace vhostx::net;

struct Control {
  VirtioNetHeader header;
  std::uint8_t from_features;  ///< One bit a feature, as in spread().
  std::uint8_t to_features;
  std::uint8_t split;
  std::uint8_t is_application;  ///< Odd: `flags` and `lengths` instead of `header`.
  std::uint64_t flags;
  std::uint64_t lengths;  ///< rte_mbuf::tx_offload
};

void require(bool condition) {
  if (!condition) std::abort();
}

std::uint64_t spread(std::uint8_t bits, std::initializer_list<std::uint64_t> features) {
  std::uint64_t all = 0;
  unsigned bit = 0;
  for (const std::uint64_t feature : features) all |= (bits >> bit++ & 1U) != 0 ? feature : 0;
  return all;
}

/// Reads every byte of the view, and checks that the header points into it.
std::uint32_t take(const PacketView& view, std::uint64_t features) {
  std::uint32_t length = view.prefix_length;
  std::uint32_t offset = view.offset;
  std::uint32_t left = view.length;
  volatile std::uint8_t sink = 0;
  for (const rte_mbuf* segment = view.mbuf; segment != nullptr && left != 0; segment = segment->next) {
    for (; offset < segment->data_len && left != 0; ++offset, --left, ++length)
      sink = rte_pktmbuf_mtod(segment, const std::uint8_t*)[offset];
    offset -= segment->data_len;
  }
  (void)sink;
  require(left == 0 && length == view.packet_length());
  const VirtioNetHeader& header = view.header;
  require((features & feature_guest_csum) != 0 || header == VirtioNetHeader{});
  if ((header.flags & header_needs_csum) != 0)
    require(std::uint32_t{header.csum_start} + header.csum_offset + 2 <= length && header.csum_offset >= 6);
  require(header.gso_type == gso_none || (header.gso_size != 0 && (header.flags & header_needs_csum) != 0));
  return length;
}

void deliver(const rte_mbuf* packet, std::uint64_t features) {
  PacketView view;
  switch (prepare_for_guest(packet, features, view)) {
    case OffloadVerdict::bad_offload:
      return;
    case OffloadVerdict::segment:
      break;
    default:
      require(take(view, features) == packet->pkt_len);
      return;
  }
  Segmenter segmenter(view, features);
  require(segmenter.count() > 1 && segmenter.count() <= segments_max);
  std::uint32_t payload = 0;
  std::uint32_t count = 0;
  for (PacketView segment; segmenter.next(segment); ++count) payload += take(segment, features) - view.prefix_length;
  require(count == segmenter.count() && payload == view.length);
}

void run(const Control& control, const std::uint8_t* data, std::size_t size) {
  const std::uint64_t from = spread(
      control.from_features, {feature_csum, feature_host_tso4, feature_host_tso6, feature_host_ecn, feature_host_uso});
  const std::uint64_t to = spread(control.to_features, {feature_guest_csum, feature_guest_tso4, feature_guest_tso6,
                                                        feature_guest_ecn, feature_guest_uso4, feature_guest_uso6});
  vhostx::fuzz::MbufChain packet(data, size, control.split);
  rte_mbuf* mbuf = packet.get();
  if ((control.is_application & 1U) != 0) {
    mbuf->ol_flags = control.flags;
    mbuf->tx_offload = control.lengths;
  } else if (!apply_guest_offload(control.header, from, mbuf)) {
    require(mbuf->ol_flags == 0 && packet.bytes() == std::vector<std::uint8_t>(data, data + size));
    return;
  }
  const auto before = packet.bytes();
  const std::uint64_t flags = mbuf->ol_flags;
  deliver(mbuf, to);
  require(mbuf->ol_flags == flags && packet.bytes() == before);
  const bool taken = vhostx::to_transmit_offload(mbuf);
  require(packet.bytes() == before && (taken || mbuf->ol_flags == flags));
  deliver(mbuf, to);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Control control;
  if (size < sizeof(control) || size - sizeof(control) > 0xffff) return 0;
  std::memcpy(&control, data, sizeof(control));
  run(control, data + sizeof(control), size - sizeof(control));
  return 0;
}
