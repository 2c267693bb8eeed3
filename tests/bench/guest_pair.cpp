// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/guest_pair.hpp"

#include <cstdio>
#include <cstdlib>
#include <numeric>

#include <rte_mbuf.h>

#include "tests/bench/must.hpp"

namespace vhostx::bench {
namespace {

constexpr std::uint64_t offload_features = 1ULL << 0 | 1ULL << 1 | 1ULL << 7 | 1ULL << 11;  // CSUM, TSO4, both ways

/// What a Linux guest sends with a maximum segment of 1448 bytes, 45 of them.
BenchOptions tcp_segments(std::uint32_t receive_bytes) {
  BenchOptions options{.packet_bytes = 45 * 1448 + 54, .ring_size = 64, .receive_bytes = receive_bytes};
  options.features |= offload_features;
  options.tcp_segments = true;
  return options;
}

constexpr BenchOptions sized(std::uint32_t bytes, std::uint16_t ring_size = 256) {
  return {.packet_bytes = bytes, .ring_size = ring_size};
}

const std::array<PairCase, 9> cases{{
    {"64", sized(64), 32, 0.98},
    {"64_burst_1", sized(64), 1, 0.98},
    {"64_two_descriptors", {.shape = Shape::two_descriptors}, 32, 0.98},
    {"256", sized(256), 32, 0.98},
    {"512", sized(512), 32, 0.98},
    {"1518", sized(1518), 32, 1.5},
    {"9000", sized(9000), 32, 1.5},
    {"tso", tcp_segments(0), 8, 1.7},
    {"tso_into_4096", tcp_segments(4096 - net_header_bytes), 2, 1.7},
}};

}  // namespace

std::uint16_t PairCase::chains() const {
  if (options.receive_bytes == 0) return 1;
  const std::uint32_t buffer = options.receive_bytes + net_header_bytes;
  return static_cast<std::uint16_t>((options.packet_bytes + net_header_bytes + buffer - 1) / buffer);
}

std::span<const PairCase> pair_cases() { return cases; }

const PairCase* find_pair_case(const std::string& name, Copies& copies) {
  for (const PairCase& each : cases)
    for (const Copies way : {Copies::one, Copies::two}) {
      if (name != std::string(way == Copies::one ? "transfer_" : "copies_") + each.name) continue;
      copies = way;
      return &each;
    }
  return nullptr;
}

GuestPair::GuestPair(const PairCase& pair_case, rte_mempool* pool)
    : case_(pair_case),
      pool_(pool),
      sender_(pair_case.options),
      receiver_(pair_case.options),
      transfer_(must(Transfer::create(), "transfer")) {
  std::iota(all_.begin(), all_.end(), std::uint8_t{0});
}

void GuestPair::guests_turn() {
  sender_.post_transmit(case_.burst);
  receiver_.post_receive(static_cast<std::uint16_t>(case_.burst * case_.chains()));
}

std::uint16_t GuestPair::transfer() {
  const std::uint16_t found = transfer_->begin(from_.from_guest(), case_.burst);
  if (found == 0) return 0;
  const std::uint16_t moved = transfer_->move(all_.data(), found, to_.to_guest());
  transfer_->end(moved);
  return moved;
}

std::uint16_t GuestPair::copy_twice() {
  const std::uint16_t got = from_.from_guest().dequeue_burst(pool_, packets_.data(), case_.burst);
  const std::uint16_t put = to_.to_guest().enqueue_burst(packets_.data(), got);
  if (case_.options.packet_bytes > RTE_MBUF_DEFAULT_DATAROOM)
    rte_pktmbuf_free_bulk(packets_.data(), got);
  else  // what an application does that knows its mbufs: the cheapest way
    rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(packets_.data()), got);
  return put;
}

void GuestPair::give_up(std::uint16_t moved) const {
  std::fprintf(stderr, "bench: %s: %u packets were moved of %u\n", case_.name, moved, case_.burst);
  std::exit(1);
}

}  // namespace vhostx::bench
