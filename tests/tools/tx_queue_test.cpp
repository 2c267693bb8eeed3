// SPDX-License-Identifier: BSD-3-Clause
// The way to a guest that is slow for a moment, or for good.
#include "tools/switch/tx_queue.hpp"

#include <gtest/gtest.h>

#include "tests/support/eal.hpp"
#include "tests/tools/fake_device.hpp"
#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

class TxQueueTest : public testing::Test {
 protected:
  void SetUp() override { in_use_before_ = rte_mempool_in_use_count(pool_); }
  void TearDown() override {
    queue_.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool_), in_use_before_);
    EXPECT_EQ(budget_.used.load(), 0u);
    EXPECT_EQ(owner_.backlogs(), 0u);
  }

  void make(std::uint32_t backlog_max, std::uint32_t segments) {
    budget_.limit = segments;
    queue_ =
        std::make_unique<TxQueue>(TxQueueOptions{Sink{nullptr, &device_}, &budget_, &owner_, backlog_max, 0, true});
  }
  /// Packets that are told apart by their flow, numbered from `next_`.
  void send(std::uint16_t count, std::uint16_t size = 60) {
    std::array<rte_mbuf*, burst_max> packets{};
    for (std::uint16_t i = 0; i < count; ++i) {
      packets[i] = mbuf_from_bytes(pool_, udp_frame(size, next_++));
      ASSERT_NE(packets[i], nullptr);
    }
    queue_->send(packets.data(), count);
  }
  /// Delivered frames are these flows, in this order.
  void expect_delivered(std::uint16_t first, std::size_t count, std::size_t from = 0) {
    ASSERT_EQ(device_.delivered.size(), from + count);
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(device_.delivered[from + i], udp_frame(60, static_cast<std::uint16_t>(first + i)));
  }

  rte_mempool* const pool_ = test::test_pool();
  unsigned in_use_before_ = 0;
  std::uint16_t next_ = 0;
  test::FakeDevice device_;
  SegmentBudget budget_;
  BacklogOwner owner_{nullptr};
  std::unique_ptr<TxQueue> queue_;
};

TEST_F(TxQueueTest, DeliversWholeBurstsInOneCall) {
  make(64, 1000);
  send(32);
  expect_delivered(0, 32);
  EXPECT_EQ(device_.calls, 1u);
  EXPECT_FALSE(queue_->has_backlog());
}

TEST_F(TxQueueTest, KeepsOrderThroughABacklog) {
  make(64, 1000);
  device_.room = 5;
  send(20);
  EXPECT_TRUE(queue_->has_backlog());
  EXPECT_EQ(owner_.backlogs(), 1u);
  device_.room = 7;
  send(20);
  EXPECT_EQ(device_.delivered.size(), 12u);
  device_.room = SIZE_MAX;
  EXPECT_EQ(queue_->flush(), 28u);
  expect_delivered(0, 40);
  EXPECT_EQ(owner_.backlogs(), 0u);
  EXPECT_EQ(queue_->dropped_ring_full(), 0u);
}

TEST_F(TxQueueTest, DropsTheNewestPastItsRoom) {
  make(64, 1000);
  device_.room = 0;
  for (int i = 0; i < 4; ++i) send(32);
  EXPECT_EQ(queue_->dropped_ring_full(), 64u);
  device_.room = SIZE_MAX;
  EXPECT_EQ(queue_->flush(), 64u);
  expect_delivered(0, 64);
}

TEST_F(TxQueueTest, GoesOnForManyTurnsOfTheRing) {
  make(32, 1000);
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    device_.room = 13;
    send(13);
    sent += 13;
  }
  EXPECT_EQ(queue_->dropped_ring_full(), 0u);
  device_.room = SIZE_MAX;
  queue_->flush();
  expect_delivered(0, sent);
}

TEST_F(TxQueueTest, LargePacketsWaitWithinThePortsBudget) {
  make(1024, 100);
  device_.room = 0;
  send(10, 65000);  // 32 segments each
  EXPECT_EQ(queue_->dropped_ring_full(), 7u);
  EXPECT_LE(budget_.used.load(), budget_.limit);
  device_.room = SIZE_MAX;
  EXPECT_EQ(queue_->flush(), 3u);
}

TEST_F(TxQueueTest, WhatWaitsIsGivenBackWithTheQueue) {
  make(64, 1000);
  device_.room = 0;
  send(32);
}

TEST_F(TxQueueTest, OfferedPacketsStayTheCallers) {
  make(64, 1000);
  const auto packets = udp_burst(pool_, 60);
  ASSERT_NE(packets[0], nullptr);
  device_.room = 40;
  EXPECT_EQ(queue_->offer(packets.data(), 32), 32u);
  EXPECT_EQ(queue_->offer(packets.data(), 32), 8u);
  EXPECT_FALSE(queue_->has_backlog());
  expect_delivered(0, 8, 32);
  release_burst(packets.data(), burst_max);
}

TEST_F(TxQueueTest, APacketInTwoBacklogsIsFreedOnce) {
  make(64, 1000);
  device_.room = 0;
  rte_mbuf* packet = mbuf_from_bytes(pool_, udp_frame(60, next_++));
  rte_pktmbuf_refcnt_update(packet, 1);
  test::FakeDevice other_device;
  TxQueue other({Sink{nullptr, &other_device}, &budget_, &owner_, 64, 1, true});
  queue_->send(&packet, 1);
  EXPECT_TRUE(queue_->has_backlog());
  other.send(&packet, 1);
  EXPECT_EQ(other_device.delivered.size(), 1u);
  device_.room = SIZE_MAX;
  queue_->flush();
  expect_delivered(0, 1);
}

}  // namespace
}  // namespace vhostx::tools
