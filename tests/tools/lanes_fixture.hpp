// SPDX-License-Identifier: BSD-3-Clause
// Guests, lanes and workers of a switch in one process, each worker a thread, for tests that move lanes about.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tests/backend/port_fixture.hpp"
#include "tests/support/eal.hpp"
#include "tests/tools/locked_pool.hpp"
#include "tools/switch/lane_placement.hpp"
#include "tools/switch/worker.hpp"

namespace vhostx::test {

/// A guest that sends numbered packets to the one beside it and counts what comes from there. One thread.
class NumberedGuest {
 public:
  NumberedGuest()
      : machine_(fixture_.options.socket_path, 2, {{0x4000'0000, std::size_t{64} << 20}}), port(*fixture_.port) {
    machine_.bring_up();
    for (int i = 0; i < 2; ++i) fixture_.events.until<VringStarted>();
  }

  /// As many as there are descriptors for, at most `count`. Kicks if it was asked to.
  void send(int count) {
    auto& driver = machine_.ring(1).driver;
    driver.reap();
    bool any = false;
    for (; count > 0 && driver.free_descriptors() != 0; --count, any = true) {
      std::array<std::uint8_t, 12 + 60> packet{};
      std::memcpy(packet.data() + 12 + 14, &sent, sizeof sent);
      driver.chain().readable(packet).publish();
      ++sent;
    }
    if (any) kick(1);
  }
  /// Posts up to `count` receive buffers. Kicks if it was asked to.
  void post(int count) {
    auto& driver = machine_.ring(0).driver;
    bool any = false;
    for (; count > 0 && driver.free_descriptors() != 0; --count, any = true) driver.chain().writable(128).publish();
    if (any) kick(0);
  }
  /// Looks at what came: each number once, in order.
  void receive() {
    auto& driver = machine_.ring(0).driver;
    for (const auto& used : driver.reap()) {
      std::uint64_t number = 0;
      const auto bytes = driver.bytes_of(used);
      ASSERT_EQ(bytes.size(), 12u + 60);
      std::memcpy(&number, bytes.data() + 12 + 14, sizeof number);
      ASSERT_EQ(number, received) << "lost, twice, or overtaken";
      ++received;
    }
  }
  /// Whether its worker has asked for kicks: it sleeps, or is about to.
  bool is_slept_on() { return (machine_.ring(1).driver.used_flags() & 1u) == 0; }

 private:
  /// Not for nothing: it would wake a worker that should have been woken otherwise. VIRTIO 1.2, 2.7.13.4: what was
  /// published is visible before the wish is read.
  void kick(std::uint16_t index) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if ((machine_.ring(index).driver.used_flags() & 1u) == 0) machine_.kick(index);
  }

  PortFixture fixture_;
  FakeMachine machine_;

 public:
  Port& port;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
};

/// --mode io between guests two by two. A worker that is not woken sleeps for longer than any test lasts.
class MovingLanes : public testing::Test {
 protected:
  static constexpr std::uint64_t under_way_max = 200;  // of each guest's: fewer than a backlog holds

  void SetUp() override { start_eal(); }
  void TearDown() override {
    stop_all();
    for (auto& port : fabric_.ports) port->tx.clear();
    for (auto& worker : workers_) EXPECT_EQ(worker->backlog_owner().backlogs(), 0u);
    for (auto& port : fabric_.ports) EXPECT_EQ(port->budget.used.load(), 0u);
    EXPECT_EQ(rte_mempool_in_use_count(pool_.get()), 0u);
    lanes_placement_.reset();
    guests_.clear();
  }

  void make(std::uint16_t guests, std::uint16_t workers, bool transfers) {
    fabric_.mode = tools::Mode::io;
    for (std::uint16_t i = 0; i < guests; ++i) add_guest(i, transfers);
    for (std::uint16_t i = 0; i < workers; ++i) add_worker(i);
    for (auto& port : fabric_.ports) add_queue(*port, transfers);
    lanes_placement_ = std::make_unique<tools::LanePlacement>(fabric_);
    for (auto& lane : fabric_.lanes) adopt(*lane);
    threads_.resize(workers);
    for (std::uint16_t i = 0; i < workers; ++i) start(i);
  }
  void start(std::uint16_t worker) {
    workers_[worker]->will_run();
    threads_[worker] = std::thread([this, worker] { EXPECT_TRUE(workers_[worker]->run()); });
  }
  void stop(std::uint16_t worker) {
    workers_[worker]->stop();
    threads_[worker].join();
  }
  void stop_all() {
    for (std::uint16_t i = 0; i < threads_.size(); ++i)
      if (threads_[i].joinable()) stop(i);
  }

  /// One step of guest `i`: takes what came, makes room, sends.
  void step(std::size_t i, int packets, int buffers) {
    NumberedGuest& guest = *guests_[i];
    guest.receive();
    guest.post(buffers);
    const auto under_way = guest.sent - guests_[i ^ 1u]->received;
    if (under_way < under_way_max) guest.send(std::min(packets, static_cast<int>(under_way_max - under_way)));
  }
  /// Until all that was sent has come.
  void drain() {
    for (std::size_t i = 0; i < guests_.size(); ++i)
      while (guests_[i]->received != guests_[i ^ 1u]->sent && !HasFailure()) {
        for (std::size_t k = 0; k < guests_.size(); ++k) step(k, 0, 64);
        std::this_thread::yield();
      }
  }
  void move(std::size_t lane, std::size_t worker) {
    lanes_placement_->move(*fabric_.lanes[lane], static_cast<std::uint16_t>(worker));
  }
  /// Until each lane is where it was wanted last.
  void settle() {
    for (auto& lane : fabric_.lanes)
      while (lane->worker.load() != lane->wanted.load()) std::this_thread::yield();
  }
  void expect_nothing_dropped() {
    for (auto& worker : workers_)
      for (auto& drops : worker->drops()) EXPECT_EQ(drops.not_ready.value(), 0u);
    for (auto& port : fabric_.ports) EXPECT_EQ(port->tx[0]->dropped_ring_full() + port->tx[0]->dropped_not_ready(), 0u);
  }

 private:
  void add_guest(std::uint16_t id, bool transfers) {
    guests_.push_back(std::make_unique<NumberedGuest>());
    fabric_.ports.push_back(std::make_unique<tools::SwitchPort>());
    fabric_.ports.back()->id = id;
    fabric_.ports.back()->budget.limit = 1000;
    fabric_.ports.back()->ready.publish({0});
    fabric_.lanes.push_back(std::make_unique<tools::RxLane>());
    auto& lane = *fabric_.lanes.back();
    lane.port = id;
    lane.vring = &guests_.back()->port.from_guest();
    lane.transfers = transfers;
    lane.receives.store(true);
    lane.sends.store(true);
    ++fabric_.tx_queues;
  }
  void add_worker(std::uint16_t index) {
    tools::WorkerOptions options;
    options.index = index;
    options.node = index;
    options.pool = pool_.get();
    options.sleep_max = std::chrono::hours(1);
    workers_.push_back(must(tools::Worker::create(fabric_, options)));
    fabric_.workers.push_back(workers_.back().get());
  }
  void add_queue(tools::SwitchPort& port, bool transfers) {
    tools::TxQueueOptions options;
    options.sink = {&guests_[port.id]->port.to_guest(), nullptr};
    options.budget = &port.budget;
    options.owner = &workers_[port.id % workers_.size()]->backlog_owner();
    options.backlog_max = 1024;
    options.index = port.id;
    options.shared = true;
    options.transfers = transfers;
    port.tx.push_back(std::make_unique<tools::TxQueue>(options));
    fabric_.lanes[port.id]->tx = port.tx.back().get();
  }
  void adopt(tools::RxLane& lane) { must(workers_[lanes_placement_->next_in_turn()]->adopt(lane)); }

 protected:
  LockedPool pool_{1023};
  std::vector<std::unique_ptr<NumberedGuest>> guests_;
  tools::Fabric fabric_;
  std::vector<std::unique_ptr<tools::Worker>> workers_;
  std::unique_ptr<tools::LanePlacement> lanes_placement_;
  std::vector<std::thread> threads_;
};

}  // namespace vhostx::test
