// SPDX-License-Identifier: BSD-3-Clause
// Bursts by vid, what they count, and who may meet on a queue.
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rte_ether.h>

#include "compat/rte_vhost/device.hpp"
#include "compat/rte_vhost/linear_packet.hpp"
#include "tests/backend/traffic.hpp"
#include "tests/compat/application.hpp"

namespace vhostx::test {
namespace {

using namespace compat;

// A device whose rings run; ring 0 has receive buffers.
struct RunningDevice {
  using Prepare = std::function<void(Application&)>;
  explicit RunningDevice(std::uint64_t flags, protocol::FeatureSet features = usual_features,
                         const Prepare& prepare = {})
      : application(flags) {
    if (prepare) prepare(application);
    application.start();
    connect(features);
  }
  void connect(protocol::FeatureSet features = usual_features) {
    machine.emplace(application.path());
    machine->negotiate(features, {});
    machine->send_memory();
    for (std::uint16_t i = 0; i < 2; ++i) {
      machine->configure_ring(i);
      machine->send_fds(i);
      machine->enable(i);
      machine->kick(i);
    }
    application.until("new_device 0");
    // Told of once more when they have started.
    while (!started(0) || !started(1)) std::this_thread::yield();
    machine->sync();  // it was told
  }
  static bool started(std::uint16_t queue) {
    VringFacts vring{};
    return rte_vhost_get_vhost_vring(0, queue, &vring) == 0 && vring.kick_fd != -1;
  }

  Application application;
  std::optional<FakeMachine> machine;
};

std::uint64_t statistic(std::uint16_t queue, const std::string& name) {
  std::array<StatisticName, statistics_count> names;
  std::array<Statistic, statistics_count> values;
  EXPECT_EQ(rte_vhost_vring_stats_get_names(0, queue, names.data(), names.size()), static_cast<int>(names.size()));
  EXPECT_EQ(rte_vhost_vring_stats_get(0, queue, values.data(), values.size()), static_cast<int>(values.size()));
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i].text == name) return values[i].value;
  ADD_FAILURE() << "no statistic is called " << name;
  return 0;
}

std::uint16_t take(rte_mempool* pool = test_pool()) {
  std::array<rte_mbuf*, 32> packets;
  const std::uint16_t count = rte_vhost_dequeue_burst(0, 1, pool, packets.data(), packets.size());
  rte_pktmbuf_free_bulk(packets.data(), count);
  return count;
}

rte_mbuf* packet_of(std::uint16_t length, std::uint8_t first_byte) {
  rte_mbuf* const packet = rte_pktmbuf_alloc(test_pool());
  auto* const data = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(packet, length));
  std::fill_n(data, length, first_byte);
  return packet;
}

TEST(RteVhostStatistics, CountWhatCameFromTheGuest) {
  RunningDevice device(flag_statistics | flag_compliant_offloads);
  transmit(*device.machine, 3);
  EXPECT_EQ(rte_vhost_rx_queue_count(0, 1), 3u);
  EXPECT_EQ(take(), 3);
  EXPECT_EQ(rte_vhost_rx_queue_count(0, 1), 0u);
  EXPECT_EQ(statistic(1, "rx_q0_good_packets"), 3u);
  EXPECT_EQ(statistic(1, "rx_q0_good_bytes"), 180u);
  EXPECT_EQ(statistic(1, "rx_q0_undersize_packets"), 3u);
  EXPECT_EQ(statistic(1, "rx_q0_guest_notifications"), 1u);
  EXPECT_EQ(device.application.notified(), 1u);
  EXPECT_EQ(rte_vhost_vring_stats_reset(0, 1), 0);
  EXPECT_EQ(statistic(1, "rx_q0_good_packets"), 0u);
}

TEST(RteVhostStatistics, CountWhatWentToTheGuestAndNotWhatItCouldNotTake) {
  RunningDevice device(flag_statistics, {protocol::VirtioFeature::version_1});  // one buffer a packet
  for (int i = 0; i < 8; ++i) device.machine->ring(0).driver.chain().writable(1600).publish();
  EXPECT_EQ(rte_vhost_avail_entries(0, 0), 8);
  std::vector<rte_mbuf*> packets{packet_of(64, 0xff), packet_of(65, 0x01), packet_of(2000, 0), packet_of(1500, 0)};
  EXPECT_EQ(rte_vhost_enqueue_burst(0, 0, packets.data(), 4), 4);
  rte_pktmbuf_free_bulk(packets.data(), 4);
  EXPECT_EQ(statistic(0, "tx_q0_good_packets"), 3u);
  EXPECT_EQ(statistic(0, "tx_q0_good_bytes"), 64u + 65u + 1500u) << "one was larger than a buffer";
  EXPECT_EQ(statistic(0, "tx_q0_size_64_packets"), 1u);
  EXPECT_EQ(statistic(0, "tx_q0_size_65_127_packets"), 1u);
  EXPECT_EQ(statistic(0, "tx_q0_size_1024_1518_packets"), 1u);
  EXPECT_EQ(statistic(0, "tx_q0_broadcast_packets"), 1u);
  EXPECT_EQ(statistic(0, "tx_q0_multicast_packets"), 1u);
}

// What an earlier front-end's ring was broken by is no drop of packets.
TEST(RteVhostStatistics, BeginAnewWithEachFrontEnd) {
  RunningDevice device(flag_statistics);
  std::vector<rte_mbuf*> packets{packet_of(64, 1), packet_of(64, 1), packet_of(64, 1)};
  device.machine->ring(0).driver.lie();
  EXPECT_EQ(rte_vhost_enqueue_burst(0, 0, packets.data(), 3), 0);
  device.machine.reset();
  device.application.until("destroy_connection 0");
  device.connect();
  for (int i = 0; i < 8; ++i) device.machine->ring(0).driver.chain().writable(2048).publish();
  EXPECT_EQ(rte_vhost_enqueue_burst(0, 0, packets.data(), 3), 3);
  EXPECT_EQ(statistic(0, "tx_q0_good_packets"), 3u);
  rte_pktmbuf_free_bulk(packets.data(), 3);
}

TEST(RteVhostStatistics, AreThereWhenTheyWereAskedFor) {
  RunningDevice device(0);
  EXPECT_EQ(rte_vhost_vring_stats_get_names(0, 1, nullptr, 0), -1);
  EXPECT_EQ(rte_vhost_vring_stats_get(0, 1, nullptr, 0), -1);
  EXPECT_EQ(rte_vhost_vring_stats_reset(0, 1), -1);
}

TEST(RteVhostStatistics, TellHowMuchRoomTheyNeed) {
  RunningDevice device(flag_statistics);
  EXPECT_EQ(rte_vhost_vring_stats_get_names(0, 1, nullptr, 0), static_cast<int>(statistics_count));
  EXPECT_EQ(rte_vhost_vring_stats_get_names(0, 2, nullptr, 0), -1) << "no such queue";
}

// In programs made for 22.11 there may be anything in the place of guest_notify.
TEST(RteVhostQueues, TheApplicationIsAskedWhetherItCallsTheGuestItself) {
  constexpr bool asks = VHOSTX_DPDK_ABI >= 24;
  for (const bool itself : {true, false}) {
    RunningDevice device(flag_statistics, usual_features,
                         [=](Application& application) { application.ask_before_calls(itself); });
    const EventFd& call = device.machine->ring(1).call;
    call.drain();  // of its start
    device.application.rest();
    transmit(*device.machine);
    EXPECT_EQ(take(), 1);
    EXPECT_EQ(device.application.rest(), asks ? "notify queue 1" : "");
    if (asks && itself) {
      EXPECT_FALSE(call.drain());
      EXPECT_EQ(statistic(1, "rx_q0_guest_notifications_offloaded"), 1u);
      rte_vhost_notify_guest(0, 1);
    }
    EXPECT_TRUE(call.drain());
    EXPECT_EQ(statistic(1, "rx_q0_guest_notifications"), 1u);
  }
}

TEST(RteVhostQueues, WhatWaitsInADisabledOneIsNotCounted) {
  RunningDevice device(0);
  transmit(*device.machine, 3);
  EXPECT_EQ(rte_vhost_rx_queue_count(0, 1), 3u);
  device.machine->enable(1, false);
  device.machine->sync();
  EXPECT_EQ(rte_vhost_rx_queue_count(0, 1), 0u);
}

// As with DPDK's library: a driver is to kick until the application says that it polls, and with each device again.
TEST(RteVhostQueues, NotificationsAreOnUntilTheApplicationSwitchesThemOff) {
  for (int round = 0; round < 2; ++round) {
    RunningDevice device(0);
    auto& driver = device.machine->ring(1).driver;
    EXPECT_TRUE(driver.device_wants_kicks());
    EXPECT_EQ(rte_vhost_enable_guest_notification(0, 1, 0), 0);
    take();
    EXPECT_FALSE(driver.device_wants_kicks());
  }
}

TEST(RteVhostQueues, TheMonitoredLineChangesWhenSomethingComes) {
  RunningDevice device(0);
  MonitorCondition condition{};
  ASSERT_EQ(rte_vhost_get_monitor_addr(0, 1, &condition), 0);
  const auto* index = static_cast<const volatile std::uint16_t*>(condition.address);
  EXPECT_EQ(condition.bytes, 2);
  EXPECT_EQ(*index & condition.mask, condition.value);
  transmit(*device.machine);
  EXPECT_NE(*index & condition.mask, condition.value);
}

TEST(RteVhostQueues, AVidWhoseDeviceIsGoneMovesNothing) {
  {
    RunningDevice device(flag_statistics);
    transmit(*device.machine);
  }
  EXPECT_EQ(take(), 0);
  EXPECT_EQ(rte_vhost_enable_guest_notification(0, 1, 1), -1);
  EXPECT_EQ(rte_vhost_get_vring_num(0), 0);
  EXPECT_EQ(rte_vhost_get_vring_num(-1), 0);
  EXPECT_EQ(rte_vhost_get_vring_num(devices_max), 0);
}

TEST(RteVhostQueues, ChainsBecomeLinearWhereTheApplicationKnowsNoChains) {
  for (const bool external : {false, true}) {
    RunningDevice device(flag_linear_buffers | (external ? std::uint64_t{flag_external_buffers} : 0));
    std::vector<std::uint8_t> large(12 + 5000);
    for (std::size_t i = 12; i < large.size(); ++i) large[i] = static_cast<std::uint8_t>(i);
    device.machine->ring(1).driver.chain().readable(large).publish();
    rte_mbuf* packet = nullptr;
    ASSERT_EQ(rte_vhost_dequeue_burst(0, 1, test_pool(), &packet, 1), external ? 1 : 0);
    if (!external) continue;
    EXPECT_EQ(packet->nb_segs, 1);
    ASSERT_EQ(packet->data_len, 5000);
    EXPECT_TRUE(std::equal(large.begin() + 12, large.end(), rte_pktmbuf_mtod(packet, const std::uint8_t*)));
    EXPECT_GE(rte_pktmbuf_headroom(packet), RTE_PKTMBUF_HEADROOM);
    rte_pktmbuf_free(packet);
  }
}

TEST(RteVhostQueues, TheLargestPacketThatAnMbufCanTellBecomesLinear) {
  start_eal();
  for (const std::uint32_t length : {0xffffu, 0x10000u}) {
    rte_mbuf* const chain = rte_pktmbuf_alloc(test_pool());
    rte_pktmbuf_append(chain, 1000);
    for (std::uint32_t left = length - 1000; left != 0;) {
      rte_mbuf* const more = rte_pktmbuf_alloc(test_pool());
      const auto part = static_cast<std::uint16_t>(std::min<std::uint32_t>(left, 2000));
      rte_pktmbuf_append(more, part);
      ASSERT_EQ(rte_pktmbuf_chain(chain, more), 0);
      left -= part;
    }
    EXPECT_EQ(make_linear(chain, true), length == 0xffff);
    EXPECT_EQ(chain->pkt_len, length);
    rte_pktmbuf_free(chain);
  }
}

// Senders share a queue, receivers and questions too, while the front-end comes and goes and the driver ends.
TEST(RteVhostThreads, MayMeetOnAQueueAndItsEnd) {
  std::atomic<bool> stop{false};
  start_eal();
  // Each thread has a pool: TSan does not see how DPDK's hands mbufs from thread to thread.
  const auto work = [&stop](rte_mempool* pool) {
    std::array<rte_mbuf*, 4> packets;
    while (!stop) {
      if (rte_pktmbuf_alloc_bulk(pool, packets.data(), packets.size()) == 0) {
        for (rte_mbuf* packet : packets) rte_pktmbuf_append(packet, 60);
        rte_vhost_enqueue_burst(0, 0, packets.data(), packets.size());
        rte_pktmbuf_free_bulk(packets.data(), packets.size());
      }
      take(pool);
      rte_vhost_rx_queue_count(0, 1);
      rte_vhost_get_vring_num(0);
    }
  };
  std::thread one(work, test_pool(2048, 511));
  std::thread two(work, test_pool(2048, 255));
  for (int round = 0; round < 5; ++round) {
    RunningDevice device(flag_statistics);
    for (int i = 0; i < 16; ++i) device.machine->ring(0).driver.chain().writable(2048).publish();
    transmit(*device.machine, 16);
    while (statistic(0, "tx_q0_good_packets") < 16 || statistic(1, "rx_q0_good_packets") < 16)
      std::this_thread::yield();
    if (round % 2 == 0) device.machine->front_end().disconnect();
  }
  stop = true;
  one.join();
  two.join();
}

}  // namespace
}  // namespace vhostx::test
