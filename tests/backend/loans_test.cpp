// SPDX-License-Identifier: BSD-3-Clause
// Loans against everything that ends a ring or its memory.
#include <gtest/gtest.h>

#include "tests/backend/loans_fixture.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

TEST(ZeroCopyPort, CannotOfferInOrder) {
  PortFixture fixture;
  PortOptions options = fixture.options;
  options.socket_path += "-in-order";
  options.features_extra = FeatureSet{VirtioFeature::in_order}.bits();
  EXPECT_TRUE(FeatureSet(Port::offered_features(options)).has(VirtioFeature::in_order));
  EXPECT_TRUE(fixture.backend->open_port(options));
  options.zero_copy = true;
  EXPECT_FALSE(FeatureSet(Port::offered_features(options)).has(VirtioFeature::in_order));
  const auto refused = fixture.backend->open_port(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("VIRTIO_F_IN_ORDER: expected zero_copy"), std::string::npos);
}

TEST(ZeroCopyPort, OthersNeitherLendNorBorrow) {
  start_eal();
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  while (fixture.events.until<VringStarted>().index != 1) {
  }
  transmit_large(machine, 1);
  machine.ring(0).driver.chain().writable(2048).publish();
  rte_mbuf* packet = nullptr;
  ASSERT_EQ(fixture.port->from_guest().dequeue_burst(test_pool(), &packet, 1), 1);
  EXPECT_FALSE(RTE_MBUF_HAS_EXTBUF(packet));
  rte_pktmbuf_free(packet);
  EXPECT_EQ(fixture.port->to_guest().borrow_burst(test_pool(), &packet, 1), 0);
  EXPECT_EQ(fixture.port->from_guest().poll_completions(), 0);
}

TEST_F(Loans, AreKnownWhileTheyAreOut) {
  EXPECT_EQ(ring().loans().outstanding, 2U);
  wait_until([this] { return ring().loans().oldest_age > std::chrono::microseconds(0); });
  EXPECT_EQ(used_count(), 0);
  give_back();
  EXPECT_EQ(ring().poll_completions(), 2);
  EXPECT_EQ(used_count(), 2);
  EXPECT_EQ(ring().loans().outstanding, 0U);
  EXPECT_EQ(ring().loans().oldest_age.count(), 0);
  EXPECT_EQ(fixture.port->info().memory_regions_for_dma, 1U);
}

TEST_F(Loans, ABurstWithoutTrafficGivesThemBackToo) {
  give_back();
  rte_mbuf* packet = nullptr;
  EXPECT_EQ(ring().dequeue_burst(test_pool(), &packet, 1), 0);
  EXPECT_EQ(used_count(), 2);
}

TEST_F(Loans, AreGivenBackByADisabledRing) {
  machine->enable(1, false);
  machine->sync();
  give_back();
  rte_mbuf* packet = nullptr;
  EXPECT_EQ(ring().dequeue_burst(test_pool(), &packet, 1), 0);
  EXPECT_EQ(used_count(), 2);
}

TEST_F(Loans, AStopAsksForThemAndWaits) {
  auto base = std::async(std::launch::async, [this] { return machine->front_end().get_vring_base(1); });
  const auto recalled = fixture.events.until<LoansRecalled>();
  EXPECT_EQ(recalled.index, 1);
  EXPECT_EQ(recalled.outstanding, 2U);
  EXPECT_EQ(base.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  rte_pktmbuf_free(lent[0]);
  EXPECT_EQ(base.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  rte_pktmbuf_free(lent[1]);
  lent.clear();
  EXPECT_EQ(must(base.get()), machine->ring(1).driver.base_after(2));
  EXPECT_EQ(used_count(), 2) << "all came back before the answer";
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 1);
  EXPECT_EQ(fixture.events.rest(), "");
  EXPECT_EQ(ring().stats()[VringCounter::overdue], 0U);
}

TEST_F(Loans, NobodyElseWaitsMeanwhile) {
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("other");
  const auto other = must(fixture.backend->open_port(options));
  FakeMachine neighbour(options.socket_path);
  neighbour.bring_up();
  auto base = std::async(std::launch::async, [this] { return machine->front_end().get_vring_base(1); });
  fixture.events.until<LoansRecalled>();
  neighbour.sync();  // its messages are answered
  EXPECT_TRUE(fixture.port->to_guest().state().started) << "and so is the same port's other ring";
  give_back();
  EXPECT_TRUE(base.get().ok());
}

TEST_F(Loans, AResetWaitsToo) {
  auto status = std::async(std::launch::async, [this] { return machine->status_of(Request::set_status, U64{0}); });
  fixture.events.until<LoansRecalled>();
  EXPECT_EQ(status.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  give_back();
  EXPECT_EQ(status.get(), 0U);
  EXPECT_EQ(used_count(), 2);
}

TEST_F(Loans, ARingGoesOnWhereItStopped) {
  auto base = std::async(std::launch::async, [this] { return machine->front_end().get_vring_base(1); });
  fixture.events.until<LoansRecalled>();
  give_back();
  machine->configure_ring(1, static_cast<std::uint16_t>(must(base.get())));
  machine->send_fds(1);
  machine->kick(1);
  while (fixture.events.until<VringStarted>().index != 1) {
  }
  machine->ring(1).driver.reap();
  lend_two();
  expect_intact();
}

TEST_F(Loans, OldMemoryStaysUntilTheyAreBack) {
  const std::size_t before = guest_mappings();
  machine->send_memory();
  EXPECT_EQ(fixture.events.until<LoansRecalled>().outstanding, 2U);
  EXPECT_EQ(guest_mappings(), before + 1) << "the old one is held, and nothing waited";
  expect_intact();
  for (std::uint8_t i = 2; i < 4; ++i) transmit_large(*machine, i);
  for (rte_mbuf* packet : take_lent(*fixture.port)) lent.push_back(packet);
  ASSERT_EQ(lent.size(), 4U) << "the ring runs on";
  expect_intact();
  give_back();
  EXPECT_EQ(ring().poll_completions(), 4);
  wait_until([before] { return guest_mappings() == before; });
}

TEST_F(Loans, ManyOldTablesAreNotKeptAlive) {
  // One packet is held of each table that there was: a front-end could bring them for ever.
  const std::size_t before = guest_mappings();
  for (int i = 0; i < 8; ++i) {
    machine->send_memory();
    transmit_large(*machine, 1);
    rte_mbuf* packet = nullptr;
    wait_until([&] { return ring().dequeue_burst(test_pool(), &packet, 1) == 1; });
    lent.push_back(packet);
  }
  machine->sync();
  EXPECT_LE(guest_mappings(), before + 3);
  EXPECT_FALSE(RTE_MBUF_HAS_EXTBUF(lent.back())) << "copied meanwhile";
  give_back();
  ring().poll_completions();
  wait_until([&] {
    transmit_large(*machine, 1);
    rte_mbuf* packet = nullptr;
    if (ring().dequeue_burst(test_pool(), &packet, 1) != 1) return false;
    const bool again = RTE_MBUF_HAS_EXTBUF(packet);
    rte_pktmbuf_free(packet);
    ring().poll_completions();
    machine->ring(1).driver.reap();
    return again;
  });
}

TEST_F(Loans, BorrowedBuffersThatAreFreedGoBackToAGuestThatHasNoOthers) {
  machine->ring(0).driver.chain().writable(2048).publish();
  rte_mbuf* buffer = nullptr;
  ASSERT_EQ(fixture.port->to_guest().borrow_burst(test_pool(), &buffer, 1), 1);
  rte_pktmbuf_free(buffer);
  EXPECT_EQ(fixture.port->to_guest().poll_completions(), 1);
  EXPECT_EQ(machine->ring(0).driver.used_count(), 1);
}

TEST_F(Loans, ARegionThatIsRemovedWithTheRingInItStopsTheRing) {
  const std::size_t before = guest_mappings();
  auto status = std::async(std::launch::async, [this] {
    return machine->status_of(Request::rem_mem_reg, SingleMemoryRegion{.padding = 0, .region = machine->region(0)});
  });
  fixture.events.until<LoansRecalled>();
  EXPECT_EQ(guest_mappings(), before);
  expect_intact();
  give_back();
  EXPECT_EQ(status.get(), 0U);
  EXPECT_EQ(used_count(), 2);
  wait_until([before] { return guest_mappings() == before - 1; });
}

TEST_F(Loans, ADisconnectionLingersForThem) {
  machine.reset();
  EXPECT_EQ(fixture.events.until<LoansRecalled>().outstanding, 2U);
  expect_intact();
  EXPECT_FALSE(fixture.port->info().connected);
  give_back();
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 1);
  fixture.events.until<FrontEndDisconnected>();
  EXPECT_EQ(ring().stats()[VringCounter::overdue], 0U);
}

TEST_F(Loans, ANewFrontEndNeedNotWaitAndIsNotTouched) {
  machine.reset();
  fixture.events.until<LoansRecalled>();
  const auto old = std::exchange(lent, {});
  connect();
  EXPECT_EQ(ring().stats()[VringCounter::overdue], 2U);
  lend_two();
  free_all(old);
  EXPECT_EQ(ring().poll_completions(), 0);
  EXPECT_EQ(used_count(), 0);
  EXPECT_EQ(ring().loans().outstanding, 2U);
  EXPECT_EQ(ring().loans().overdue, 0U);
  expect_intact();
}

TEST_F(Loans, APortGoesAtOnceAndThePagesWithTheLastMbuf) {
  fixture.port.reset();
  machine.reset();
  expect_intact();
  EXPECT_EQ(guest_mappings(), mappings_before + 1);
  rte_pktmbuf_free(lent[0]);
  EXPECT_EQ(guest_mappings(), mappings_before + 1);
  rte_pktmbuf_free(lent[1]);
  lent.clear();
  EXPECT_EQ(guest_mappings(), mappings_before);
}

TEST_F(Loans, ABackendGoesAtOnceToo) {
  fixture.backend.reset();
  fixture.port.reset();
  machine.reset();
  expect_intact();
  give_back();
}

TEST_F(Loans, AHandlerMayDestroyThePortThatAsks) {
  // A port whose handler lets it go when it is asked for its loans.
  std::unique_ptr<Port> port;
  std::promise<void> gone;
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("own");
  EventLog log;
  port = must(fixture.backend->open_port(options, [&](Port&, const PortEvent& event) {
    if (std::holds_alternative<LoansRecalled>(event)) {
      port.reset();
      gone.set_value();
    } else {
      log.add(event);
    }
  }));
  FakeMachine own(options.socket_path);
  own.bring_up();
  while (log.until<VringStarted>().index != 1) {
  }
  transmit_large(own, 9);
  auto packets = take_lent(*port);
  ASSERT_EQ(packets.size(), 1U);
  auto base = std::async(std::launch::async, [&own] { return own.front_end().get_vring_base(1); });
  EXPECT_EQ(gone.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_FALSE(base.get().ok());
  EXPECT_EQ(bytes_of(packets[0]), pattern(lent_bytes, 9));
  free_all(packets);
}

TEST_F(OverdueLoans, AStopWaitsNoLongerThanItSaid) {
  EXPECT_EQ(must(machine->front_end().get_vring_base(1)), machine->ring(1).driver.base_after(2));
  EXPECT_EQ(fixture.events.until<LoansRecalled>().outstanding, 2U);
  const auto overdue = fixture.events.until<LoansOverdue>();
  EXPECT_EQ(overdue.index, 1);
  EXPECT_EQ(overdue.outstanding, 2U);
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 1);
  EXPECT_EQ(used_count(), 2) << "the driver has its buffers";
  EXPECT_EQ(ring().loans().outstanding, 0U);
  EXPECT_EQ(ring().loans().overdue, 2U);
  EXPECT_EQ(ring().stats()[VringCounter::overdue], 2U);
  expect_intact();
  give_back();
  EXPECT_EQ(ring().loans().overdue, 0U);
}

TEST_F(OverdueLoans, ADisconnectionEndsToo) {
  machine.reset();
  fixture.events.until<LoansOverdue>();
  fixture.events.until<FrontEndDisconnected>();
  expect_intact();
  EXPECT_EQ(guest_mappings(), mappings_before + 1);
  give_back();
  wait_until([this] { return guest_mappings() == mappings_before; });
}

TEST_F(OverdueLoans, BorrowedBuffersComeBackByTheSameRules) {
  machine->ring(0).driver.chain().writable(2048).publish();
  machine->ring(0).driver.chain().writable(2048).publish();
  std::array<rte_mbuf*, 2> buffers;
  ASSERT_EQ(fixture.port->to_guest().borrow_burst(test_pool(), buffers.data(), 2), 2);
  rte_pktmbuf_free(buffers[0]);
  EXPECT_EQ(must(machine->front_end().get_vring_base(0)), machine->ring(0).driver.base_after(2));
  EXPECT_EQ(fixture.events.until<LoansOverdue>().outstanding, 1U);
  EXPECT_EQ(machine->ring(0).driver.used_count(), 2);
  for (const auto& used : machine->ring(0).driver.reap()) EXPECT_EQ(used.length, 0U);
  rte_pktmbuf_free(buffers[1]);
}

}  // namespace
}  // namespace vhostx::test
