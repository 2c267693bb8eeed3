// SPDX-License-Identifier: BSD-3-Clause
// Many ports and many queue pairs: what can be counted rather than timed. bench_scale measures the rest.
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tests/bench/bench_eal.hpp"
#include "tests/bench/process_memory.hpp"
#include "tests/bench/vhostx_back_end.hpp"

namespace vhostx::bench {
namespace {

constexpr std::uint16_t burst = 32;
constexpr std::uint16_t pairs_max = 128;

std::ptrdiff_t count_threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

class Scale : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    start_bench_eal(Pages::normal);
    threads_at_start = count_threads();
  }

  static inline std::ptrdiff_t threads_at_start = 0;
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

// When no back-end is there, nor a thread that still releases what a guest brought.
int fds_without_a_back_end(std::ptrdiff_t threads_at_start) {
  while (count_threads() != threads_at_start) std::this_thread::yield();  // the test's time-out is the limit
  return count_fds();
}

TEST_F(Scale, APortLeavesNoDescriptorBehind) {
  const auto serve_a_guest = [] {
    BenchGuest guest({.regions = 64, .queue_pairs = pairs_max});
    const VhostxBackEnd port(guest);
    return count_fds();
  };
  serve_a_guest();  // what a process opens once
  const int before = fds_without_a_back_end(threads_at_start);
  EXPECT_GT(serve_a_guest(), before);
  EXPECT_EQ(fds_without_a_back_end(threads_at_start), before);
}

}  // namespace
}  // namespace vhostx::bench
