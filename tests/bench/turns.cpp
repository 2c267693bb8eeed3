// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/turns.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <rte_mbuf.h>

namespace vhostx::bench {
namespace {

[[noreturn]] void die_of_empty_pool() {
  std::fputs("bench: the pool has not enough mbufs for a burst\n", stderr);
  std::exit(1);
}

rte_mbuf* make_segment(rte_mempool* pool, std::uint32_t bytes_max) {
  rte_mbuf* segment = rte_pktmbuf_alloc(pool);
  if (segment == nullptr) die_of_empty_pool();
  const auto bytes = static_cast<std::uint16_t>(std::min<std::uint32_t>(bytes_max, rte_pktmbuf_tailroom(segment)));
  std::memset(rte_pktmbuf_append(segment, bytes), 0x5a, bytes);
  return segment;
}

rte_mbuf* make_packet(rte_mempool* pool, std::uint32_t bytes) {
  rte_mbuf* packet = make_segment(pool, bytes);
  while (packet->pkt_len < bytes)
    if (rte_pktmbuf_chain(packet, make_segment(pool, bytes - packet->pkt_len)) != 0) die_of_empty_pool();
  return packet;
}

}  // namespace

Turns::Turns(rte_mempool* pool, const BenchCase& bench_case) : pool_(pool), case_(bench_case) {
  if (case_.call != Call::enqueue) return;
  for (std::uint16_t i = 0; i < case_.turn(); ++i) packets_[i] = make_packet(pool_, case_.options.packet_bytes);
}

Turns::~Turns() {
  if (case_.call == Call::enqueue) rte_pktmbuf_free_bulk(packets_.data(), case_.turn());
}

void Turns::guest_turn(BenchGuest& guest) {
  if (case_.call == Call::dequeue) guest.post_transmit(case_.turn());
  if (case_.call == Call::enqueue) guest.post_receive(case_.turn());
}

void Turns::finish_turn(const MeasuredBackEnd& back_end, std::uint16_t moved) {
  const std::uint16_t expected = case_.call == Call::idle ? 0 : case_.turn();
  if (moved != expected) {
    std::fprintf(stderr, "bench: %s moved %u packets of %u\n", back_end.name(), moved, expected);
    std::exit(1);
  }
  if (case_.call == Call::dequeue) rte_pktmbuf_free_bulk(packets_.data(), moved);
}

}  // namespace vhostx::bench
