// SPDX-License-Identifier: BSD-3-Clause
// Whether a burst asks for a call, by the straight path for one packet, in batches and in general.
#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/short_chain_ring.hpp"

namespace vhostx::net {
namespace {

using test::make_packet;
using test::mergeable;
using test::Sender;
using test::ShortChainRing;
using test::Way;

class Calls : public ::testing::TestWithParam<std::tuple<Way, std::size_t>> {
 protected:
  Way way() const { return std::get<0>(GetParam()); }
  /// The kind of chain: one descriptor takes the straight path, three none.
  std::size_t kind() const { return std::get<1>(GetParam()); }

  /// `count` chains and one burst over them.
  BurstResult burst(ShortChainRing& ring, std::uint16_t count) {
    if (way() == Way::peeked || way() == Way::moved) return transfer(ring, count);
    std::vector<rte_mbuf*> packets;
    for (std::uint16_t i = 0; i < count; ++i) {
      ring.publish_kind(kind(), i);
      if (way() == Way::to_guest) packets.push_back(make_packet(test::test_pool(), ring.packet(i)));
    }
    packets.resize(count);
    const auto result = way() == Way::to_guest ? net::enqueue(ring.context(), packets.data(), count)
                                               : net::dequeue(ring.context(), test::test_pool(), packets.data(), count);
    EXPECT_EQ(result.packets, count);
    rte_pktmbuf_free_bulk(packets.data(), count);
    ring.driver.reap();
    return result;
  }

  /// The same by a transfer's halves, whose bursts end at batch_max.
  BurstResult transfer(ShortChainRing& ring, std::uint16_t count) {
    BurstResult result;
    for (std::uint16_t i = 0; i < count; ++i) ring.publish_kind(kind(), i);
    for (std::uint16_t done = 0, now = 0; done < count; done = static_cast<std::uint16_t>(done + now)) {
      now = std::min<std::uint16_t>(static_cast<std::uint16_t>(count - done), batch_max);
      Sender sender;
      for (std::uint16_t i = done; way() == Way::moved && i < done + now; ++i) sender.send(ring.packet(i));
      const auto& peeked = way() == Way::moved ? sender.context() : ring.context();
      EXPECT_EQ(net::peek(peeked, now, *sender.burst).packets, now);
      std::array<std::uint8_t, batch_max> which;
      std::iota(which.begin(), which.end(), std::uint8_t{0});
      const BurstResult one = way() == Way::moved ? net::move(ring.context(), *sender.burst, which.data(), now)
                                                  : net::give_back(peeked, *sender.burst, now);
      EXPECT_EQ(one.packets, now);
      result.needs_call = result.needs_call || one.needs_call;
      ++bursts_;
    }
    ring.driver.reap();
    return result;
  }

  int bursts_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Paths, Calls,
                         ::testing::Combine(::testing::Values(Way::from_guest, Way::to_guest, Way::peeked, Way::moved),
                                            ::testing::Values(std::size_t{0}, std::size_t{1}, std::size_t{2})));

TEST_P(Calls, UnlessTheDriverSaysNo) {
  ShortChainRing ring(mergeable, way());
  for (const std::uint16_t count : std::initializer_list<std::uint16_t>{1, 1, 2, 1, 33}) {
    ring.driver.want_calls(true);
    EXPECT_TRUE(burst(ring, count).needs_call) << count;
    ring.driver.want_calls(false);
    EXPECT_FALSE(burst(ring, count).needs_call) << count;
  }
}

TEST_P(Calls, WhereTheEventIndexIsPassed) {
  ShortChainRing ring(mergeable, way(), 128, true, true);
  std::uint16_t used = 0;
  for (const std::uint16_t count : std::initializer_list<std::uint16_t>{1, 1, 2, 1, 1, 33, 1}) {
    // The first burst after a start calls in any case, the others for entry `used_event`.
    for (const int ahead : {0, -1, int{count}, count - 1}) {
      ring.driver.want_call_at(ahead, static_cast<int>(kind()) + 1);
      const bool passed = ahead >= 0 && ahead < count;
      EXPECT_EQ(burst(ring, count).needs_call, passed || used == 0) << count << " " << ahead;
      used = static_cast<std::uint16_t>(used + count);
    }
  }
}

// With EVENT_IDX the driver is told up to where it need not kick, after each burst.
TEST_P(Calls, TheAvailEventMovesWithEachBurst) {
  ShortChainRing ring(mergeable, way(), 128, true, true);
  ring.cursor.position.notifications = true;
  std::uint16_t taken = 0;
  for (const std::uint16_t count : std::initializer_list<std::uint16_t>{1, 1, 2, 1}) {
    burst(ring, count);
    taken = static_cast<std::uint16_t>(taken + count);
    EXPECT_TRUE(ring.driver.device_wants_next_kick());
    EXPECT_EQ(ring.count(VringCounter::packets), taken);
  }
  EXPECT_EQ(ring.count(VringCounter::bursts), 4U);
}

}  // namespace
}  // namespace vhostx::net
