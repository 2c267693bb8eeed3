// SPDX-License-Identifier: BSD-3-Clause
// Peers that are gone, full or slow, and an application that keeps what it should give back.
#include <csignal>
#include <fcntl.h>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;

TEST(PeerIsGone, AnAnswerThatNobodyReadsRaisesNoSignal) {
  ASSERT_NE(std::signal(SIGPIPE, SIG_DFL), SIG_ERR);
  PortFixture fixture;
  for (int i = 0; i < 100; ++i) {
    FakeMachine machine(fixture.options.socket_path);
    const auto question = encode(make_request(FrontEndRequest::get_features));
    for (int n = 0; n < 20; ++n) must(machine.front_end().send_bytes(question));
    ::shutdown(machine.front_end().fd(), SHUT_RD);  // answers fail from here, questions wait still
    machine.front_end().disconnect();
    fixture.events.until<FrontEndDisconnected>();
  }
}

TEST(CallDescriptor, AFullEventfdHoldsUpNobody) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  ASSERT_EQ(::write(machine.ring(1).call.get(), &most, sizeof most), static_cast<ssize_t>(sizeof most));
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  transmit(machine, 4);
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 4);
  EXPECT_EQ(machine.ring(1).driver.used_index(), 4);
  machine.sync();
}

TEST(CallDescriptor, APipeIsRefused) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  EXPECT_FALSE(machine.front_end().set_vring_fd(FrontEndRequest::set_vring_call, 1, writing.get()));
  machine.sync();
}

// The packets that find no mbuf stay in the ring, and come when mbufs are given back.
TEST(Application, ThatKeepsItsMbufsGetsNoMoreAndLosesNothing) {
  constexpr unsigned mbufs = 15;
  constexpr int packets = 40;
  rte_mempool* const pool = test_pool(2048, mbufs);
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  transmit(machine, packets);
  int taken = 0;
  std::vector<rte_mbuf*> kept;
  while (taken < packets) {
    std::array<rte_mbuf*, 32> burst;
    const auto count = fixture.port->from_guest().dequeue_burst(pool, burst.data(), burst.size());
    kept.insert(kept.end(), burst.begin(), burst.begin() + count);
    taken += count;
    EXPECT_EQ(machine.ring(1).driver.used_index(), taken);
    if (count != 0) continue;
    ASSERT_FALSE(kept.empty());
    rte_pktmbuf_free_bulk(kept.data(), static_cast<unsigned>(kept.size()));
    kept.clear();
  }
  rte_pktmbuf_free_bulk(kept.data(), static_cast<unsigned>(kept.size()));
  EXPECT_EQ(taken, packets);
  EXPECT_GT(fixture.port->from_guest().stats()[VringCounter::stall_no_mbuf], 0u);
  EXPECT_EQ(rte_mempool_in_use_count(pool), 0u);
}

}  // namespace
}  // namespace vhostx::test
