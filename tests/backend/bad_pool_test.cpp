// SPDX-License-Identifier: BSD-3-Clause
// Mempools that a burst cannot use: counted, reported once, and nothing is lost or damaged.
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/backend_log.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

struct BadPool : ::testing::Test {
  BadPool() : fixture((start_eal(), [](PortOptions&) {}), log.options()), machine(fixture.options.socket_path) {
    machine.bring_up();
    for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
    transmit(machine, 2);
  }
  ~BadPool() override {
    fixture.port.reset();
    for (rte_mempool* pool : pools) rte_mempool_free(pool);
  }
  rte_mempool* own(rte_mempool* pool) {
    if (pool == nullptr) throw std::runtime_error(rte_strerror(rte_errno));
    pools.push_back(pool);
    return pool;
  }
  rte_mempool* pool_with_room(int room) {
    return own(rte_pktmbuf_pool_create(("room" + std::to_string(room)).c_str(), 31, 0, 0,
                                       static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + room), SOCKET_ID_ANY));
  }
  rte_mempool* pool_of_bytes(unsigned element, unsigned private_bytes) {
    return own(rte_mempool_create(("bytes" + std::to_string(element)).c_str(), 31, element, 0, private_bytes, nullptr,
                                  nullptr, nullptr, nullptr, SOCKET_ID_ANY, 0));
  }
  std::uint64_t stalls() const { return fixture.port->from_guest().count(VringCounter::stall_bad_pool); }

  void expect_refused(rte_mempool* pool, const std::string& reason) {
    const std::uint64_t before = stalls();
    EXPECT_EQ(take_burst(fixture.port->from_guest(), pool), 0);
    EXPECT_EQ(take_burst(fixture.port->from_guest(), pool), 0);
    EXPECT_EQ(stalls(), before + 2);
    EXPECT_EQ(fixture.port->from_guest().count(VringCounter::stall_no_mbuf), 0U);
    EXPECT_TRUE(log.wait_for("vring 1: " + reason)) << log.lines();
    EXPECT_EQ(take_burst(fixture.port->from_guest()), 2) << "nothing was lost";
    // A second fault of the vring is counted only.
    transmit(machine);
    EXPECT_EQ(take_burst(fixture.port->from_guest(), pool), 0);
    EXPECT_EQ(stalls(), before + 3);
    fixture.port->look_at_placement();  // waits for the control thread
    EXPECT_EQ(log.count("stall_bad_pool"), 1U) << log.lines();
  }

  BackendLog log;
  PortFixture fixture;
  FakeMachine machine;
  std::vector<rte_mempool*> pools;
};

TEST_F(BadPool, Null) { expect_refused(nullptr, "the mempool is null, expected one of rte_pktmbuf_pool_create()"); }

TEST_F(BadPool, WithoutRoom) {
  expect_refused(pool_with_room(59),
                 "the mbufs of mempool 'room59' have 187 bytes of data room, expected at least 188");
}

TEST_F(BadPool, NoRoomAtAll) { expect_refused(pool_with_room(-128), "the mbufs of mempool 'room-128' have 0 bytes"); }

TEST_F(BadPool, LittleRoomIsEnough) {
  EXPECT_EQ(take_burst(fixture.port->from_guest(), pool_with_room(60)), 2);
  EXPECT_EQ(stalls(), 0U);
}

TEST_F(BadPool, NotOfMbufs) {
  expect_refused(pool_of_bytes(2048, 0), "the elements of mempool 'bytes2048' are no mbufs (2048 bytes each)");
}

TEST_F(BadPool, ElementsTooSmallForMbufs) {
  expect_refused(pool_of_bytes(64, sizeof(rte_pktmbuf_pool_private)),
                 "the elements of mempool 'bytes64' are no mbufs (64 bytes each)");
}

TEST_F(BadPool, InATransfer) {
  const auto transfer = must(Transfer::create());
  ASSERT_EQ(transfer->begin(fixture.port->from_guest(), 32), 2);
  EXPECT_EQ(transfer->copy(0, nullptr), nullptr);
  transfer->end(0);
  EXPECT_EQ(stalls(), 1U);
  expect_refused(nullptr, "the mempool is null");
}

// An idle ring needs no pool, and a disabled one drops its packets without one.
TEST_F(BadPool, IsNotLookedAtWithoutNeed) {
  EXPECT_EQ(fixture.port->to_guest().dequeue_burst(nullptr, nullptr, 32), 0);
  machine.enable(1, false);
  machine.sync();
  EXPECT_EQ(take_burst(fixture.port->from_guest(), nullptr), 0);
  EXPECT_EQ(fixture.port->from_guest().count(VringCounter::drop_disabled), 2U);
  machine.enable(1);
  machine.sync();
  EXPECT_EQ(take_burst(fixture.port->from_guest(), nullptr), 0);
  EXPECT_EQ(stalls(), 0U);
  fixture.port->look_at_placement();
  EXPECT_EQ(log.lines(), "");
}

// An application may have a pool for each packet size, or for each node.
TEST_F(BadPool, PoolsMayAlternate) {
  rte_mempool* const other = pool_with_room(2000);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(take_burst(fixture.port->from_guest(), i % 2 == 0 ? other : test_pool()), i == 0 ? 2 : 1);
    transmit(machine);
  }
  EXPECT_EQ(stalls(), 0U);
}

struct BadPoolOfZeroCopy : ::testing::Test {
  BadPoolOfZeroCopy()
      : fixture((start_eal(), [](PortOptions& options) { options.zero_copy = true; }), log.options()),
        machine(fixture.options.socket_path) {
    machine.bring_up();
    for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  }

  BackendLog log;
  PortFixture fixture;
  FakeMachine machine;
  rte_mbuf* mbuf = nullptr;
};

TEST_F(BadPoolOfZeroCopy, LendsNothingAndCollectsWhatIsOut) {
  machine.ring(1).driver.chain().readable(std::vector<std::uint8_t>(1512)).publish();
  ASSERT_EQ(fixture.port->from_guest().dequeue_burst(test_pool(), &mbuf, 1), 1);
  machine.ring(1).driver.chain().readable(std::vector<std::uint8_t>(1512)).publish();
  rte_pktmbuf_free(mbuf);
  EXPECT_EQ(fixture.port->from_guest().dequeue_burst(nullptr, &mbuf, 1), 0);
  EXPECT_EQ(machine.ring(1).driver.used_count(), 1) << "the first packet's buffer is the driver's again";
  EXPECT_EQ(fixture.port->from_guest().count(VringCounter::stall_bad_pool), 1U);
  EXPECT_TRUE(log.wait_for("vring 1: the mempool is null")) << log.lines();
}

TEST_F(BadPoolOfZeroCopy, BorrowsNothing) {
  machine.ring(0).driver.chain().writable(2048).publish();
  EXPECT_EQ(fixture.port->to_guest().borrow_burst(nullptr, &mbuf, 1), 0);
  EXPECT_EQ(fixture.port->to_guest().count(VringCounter::stall_bad_pool), 1U);
  EXPECT_TRUE(log.wait_for("vring 0: the mempool is null")) << log.lines();
}

TEST_F(BadPoolOfZeroCopy, BorrowsWithMbufsWithoutRoom) {
  rte_mempool* const pool = rte_pktmbuf_pool_create("roomless", 3, 0, 0, 0, SOCKET_ID_ANY);
  ASSERT_NE(pool, nullptr);
  machine.ring(0).driver.chain().writable(2048).publish();
  ASSERT_EQ(fixture.port->to_guest().borrow_burst(pool, &mbuf, 1), 1);
  rte_pktmbuf_free(mbuf);
  fixture.port.reset();
  rte_mempool_free(pool);
}

TEST_F(BadPoolOfZeroCopy, PinnedBuffersCannotBeAttached) {
  constexpr std::uint16_t element = 2048 + RTE_PKTMBUF_HEADROOM;
  alignas(64) static std::uint8_t memory[4 * element];
  const rte_pktmbuf_extmem external{memory, RTE_BAD_IOVA, sizeof memory, element};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // DPDK 22.11 calls it experimental
  rte_mempool* const pool = rte_pktmbuf_pool_create_extbuf("pinned-to", 1, 0, 0, element, SOCKET_ID_ANY, &external, 1);
#pragma GCC diagnostic pop
  ASSERT_NE(pool, nullptr);
  machine.ring(0).driver.chain().writable(2048).publish();
  EXPECT_EQ(fixture.port->to_guest().borrow_burst(pool, &mbuf, 1), 0);
  EXPECT_TRUE(log.wait_for("mbufs of mempool 'pinned-to' have pinned external buffers")) << log.lines();
  fixture.port.reset();
  rte_mempool_free(pool);
}

}  // namespace
}  // namespace vhostx::test
