// SPDX-License-Identifier: BSD-3-Clause
// What a guest gets of an mbuf, for the tests of offloads: headers and whole packets, segments in order.
#pragma once

#include <cstdint>
#include <vector>

#include "net/offload_to_guest.hpp"
#include "net/segmenter.hpp"
#include "tests/net/packets.hpp"

namespace vhostx::test {

struct Delivered {
  net::VirtioNetHeader header;
  Bytes bytes;
};

struct Delivery {
  net::OffloadVerdict verdict = net::OffloadVerdict::bad_offload;
  std::vector<Delivered> packets;
};

inline Delivery deliver(const rte_mbuf* packet, std::uint64_t features) {
  Delivery delivery;
  net::PacketView view;
  delivery.verdict = net::prepare_for_guest(packet, features, view);
  if (delivery.verdict == net::OffloadVerdict::bad_offload) return delivery;
  if (delivery.verdict != net::OffloadVerdict::segment) {
    delivery.packets.push_back({view.header, bytes_of(view)});
    return delivery;
  }
  net::Segmenter segmenter(view, features);
  for (net::PacketView segment; segmenter.next(segment);)
    delivery.packets.push_back({segment.header, bytes_of(segment)});
  return delivery;
}

}  // namespace vhostx::test
