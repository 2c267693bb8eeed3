// SPDX-License-Identifier: BSD-3-Clause
// A guest's transmitq of any chains against the slow model: the same packets byte for byte, used entries, counters and
// faults, taken as mbufs or by peeking.
//
// Input: Choices, of which the first has the kind of ring in its highest bit.
#include <array>
#include <memory>

#include <rte_mbuf.h>

#include "fuzz/compared_ring.hpp"
#include "tests/net/any_context.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;
using Bytes = std::vector<std::uint8_t>;

rte_mempool* pool() { return test::test_pool(2048, 255); }

Bytes take_bytes(rte_mbuf* packet) {
  const char* reason = nullptr;
  require(packet != nullptr && rte_mbuf_check(packet, 1, &reason) == 0);
  Bytes bytes;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    const auto* data = rte_pktmbuf_mtod(segment, const std::uint8_t*);
    bytes.insert(bytes.end(), data, data + segment->data_len);
  }
  require(bytes.size() == packet->pkt_len);
  rte_pktmbuf_free(packet);
  return bytes;
}

void dequeue(const test::AnyContext& context, std::uint16_t most, std::vector<Bytes>& packets) {
  std::array<rte_mbuf*, 64> mbufs;
  const std::uint16_t taken = net::dequeue(context, pool(), mbufs.data(), most).packets;
  for (std::uint16_t i = 0; i < taken; ++i) packets.push_back(take_bytes(mbufs[i]));
}

/// Some of those that were looked at stay for the next time.
void peek(const test::AnyContext& context, std::uint16_t most, Choices& choices, std::vector<Bytes>& packets) {
  static const auto burst = std::make_unique<net::PeekedBurst>();
  const std::uint16_t found = net::peek(context, most, *burst).packets;
  if (found == 0) return;
  const std::uint16_t done = choices.one_in(3) ? static_cast<std::uint16_t>(1 + choices.below(found)) : found;
  for (std::uint16_t i = 0; i < done; ++i) packets.push_back(take_bytes(net::copy_out(*burst, i, pool())));
  net::give_back(context, *burst, done);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  auto& world = pick_world(choices);
  const bool peeking = choices.one_in(2);
  const auto most = choices.pick<std::uint16_t>({32, 1, 4, 3});
  Choices later(data, size);  // how bursts go on, read again from the front
  const auto ring = make_ring(world, choices, false, kind_of(data, size));
  const auto what = written(world, ring);
  const auto expected = test::model_dequeue(what.model(ring.heads));
  test::ComparedRing one(what, *world.memory);
  warm_hint(one, later);
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i <= 2 * ring.heads.size() && !one.broken(); ++i)
    peeking ? peek(one.context(), most, later, packets) : dequeue(one.context(), most, packets);
  require(rte_mempool_in_use_count(pool()) == 0);
  if (expected.depends()) return 0;
  require_none(one.difference(expected));
  require(packets == expected.packets);
  return 0;
}
