// SPDX-License-Identifier: BSD-3-Clause
// Many ports and many queue pairs: what can be counted rather than timed. bench_scale measures the rest.
#include <array>
#include <cstdint>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/process_memory.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {
namespace {

constexpr std::uint16_t burst = 32;
constexpr std::uint16_t pairs_max = 128;

class Scale : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { start_bench_eal(Pages::normal); }
};

void expect_idle_but(VhostxBackEnd& port, std::uint16_t busy) {
  std::array<rte_mbuf*, burst> packets;
  for (std::uint16_t pair = 0; pair < pairs_max; ++pair) {
    if (pair == busy) continue;
    ASSERT_EQ(port.from_guest(pair).dequeue_burst(bench_pool(), packets.data(), burst), 0) << "pair " << pair;
  }
}

TEST_F(Scale, EachOf128QueuePairsCarriesItsOwnPacketsBothWays) {
  BenchGuest guest({.queue_pairs = pairs_max});
  VhostxBackEnd port(guest);
  std::array<rte_mbuf*, burst> packets;
  for (std::uint16_t pair = 0; pair < pairs_max; ++pair) {
    // Another number in each pair; the other pairs have nothing yet, or nothing any more.
    const auto count = static_cast<std::uint16_t>(1 + pair % burst);
    guest.post_transmit(count, pair);
    guest.post_receive(count, pair);
    expect_idle_but(port, pair);
    ASSERT_EQ(port.from_guest(pair).dequeue_burst(bench_pool(), packets.data(), burst), count) << "pair " << pair;
    EXPECT_EQ(port.to_guest(pair).enqueue_burst(packets.data(), count), count) << "pair " << pair;
    rte_pktmbuf_free_bulk(packets.data(), count);
  }
}

TEST_F(Scale, APortLeavesNoDescriptorBehind) {
  const auto backend = make_backend();
  const auto serve_a_guest = [&] {
    BenchGuest guest({.regions = 64, .queue_pairs = pairs_max});
    const VhostxBackEnd port(guest, backend);
    return count_fds();
  };
  serve_a_guest();  // the control thread's own descriptors come with the first port
  const int before = count_fds();
  EXPECT_GT(serve_a_guest(), before);
  EXPECT_EQ(count_fds(), before);
}

}  // namespace
}  // namespace vhostx::bench
