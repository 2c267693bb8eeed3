// SPDX-License-Identifier: BSD-3-Clause
// A front-end that takes its memory away while rings run: shrunk files without seals (CVE-2026-86561).
#include <thread>

#include <gtest/gtest.h>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

// The machine's own view must not be touched afterwards: it is lost as well.
void shrink_memory(const FakeMachine& machine, std::size_t bytes) {
  const UniqueFd file = const_cast<FakeMachine&>(machine).guest().file(0);
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
}

struct MemoryLoss : ::testing::Test {
  MemoryLoss() {
    start_eal();
    test_pool();
  }
  void expect_disconnection() {
    const Error reason = fixture.events.until<FrontEndDisconnected>().reason;
    EXPECT_EQ(reason.code, ErrorCode::protocol_violation);
    EXPECT_NE(reason.message.find("SIGBUS"), std::string::npos) << reason.message;
    EXPECT_NE(reason.message.find("0x40000000"), std::string::npos) << reason.message;
  }
  void expect_next_front_end_is_served() {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    transmit(machine, 3);
    int taken = 0;
    while (taken < 3) taken += take_burst(fixture.port->from_guest());
  }
  PortFixture fixture;
};

TEST_F(MemoryLoss, ABurstGoesOnAndTheConnectionEnds) {
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  while (fixture.events.until<VringStarted>().index != 1) {
  }
  transmit(machine, 4);
  shrink_memory(machine, 0);
  take_burst(fixture.port->from_guest());
  expect_disconnection();
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 0);
  expect_next_front_end_is_served();
}

TEST_F(MemoryLoss, TheControlThreadMeetsIt) {
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  machine.send_memory();
  machine.configure_ring(1);
  shrink_memory(machine, 0);
  // Whether the ring was in use already is in its memory. The connection may be over before this is acknowledged.
  static_cast<void>(
      machine.front_end().set_vring_fd(protocol::FrontEndRequest::set_vring_kick, 1, machine.ring(1).kick.get()));
  expect_disconnection();
  expect_next_front_end_is_served();
}

TEST_F(MemoryLoss, AtAnyInstant) {
  const std::jthread data([this](const std::stop_token& end) {
    while (!end.stop_requested())
      if (take_burst(fixture.port->from_guest()) == 0) std::this_thread::yield();
  });
  for (int i = 0; i < 40; ++i) {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    transmit(machine, 1 + i % 8);
    shrink_memory(machine, 0);
    expect_disconnection();
  }
}

TEST(MemoryLossOfLoans, LentPacketsCanStillBeReadAndFreed) {
  start_eal();
  PortFixture fixture([](PortOptions& options) {
    options.zero_copy = true;
    options.copy_below = 0;
  });
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  transmit(machine);
  rte_mbuf* packet = nullptr;
  while (fixture.port->from_guest().dequeue_burst(test_pool(), &packet, 1) == 0) std::this_thread::yield();
  ASSERT_TRUE(RTE_MBUF_HAS_EXTBUF(packet));
  shrink_memory(machine, 0);
  for (std::uint16_t i = 0; i < packet->data_len; ++i) EXPECT_EQ(rte_pktmbuf_mtod(packet, std::uint8_t*)[i], 0);
  EXPECT_NE(fixture.events.until<FrontEndDisconnected>().reason.message.find("SIGBUS"), std::string::npos);
  rte_pktmbuf_free(packet);
  EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
}

}  // namespace
}  // namespace vhostx::test
