// SPDX-License-Identifier: BSD-3-Clause
// Worker: one lcore that polls its lanes, brings backlogs on, and sleeps when there is nothing to do.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <vhostx/placement.hpp>
#include <vhostx/transfer.hpp>
#include <vhostx/waiter.hpp>

#include "tools/switch/backlog_owner.hpp"
#include "tools/switch/fabric.hpp"

namespace vhostx::tools {

struct WorkerOptions {
  bool busy_poll = false;
  std::uint16_t packet_size = 64;  ///< txonly
  std::uint16_t index = 0;         ///< Its position in Fabric::workers.
  unsigned lcore = 0;
  int node = no_node;                         ///< Of the lcore.
  rte_mempool* pool = nullptr;                ///< Where its mbufs come from.
  int pool_node = no_node;                    ///< Where that is.
  std::chrono::milliseconds sleep_max{1000};  ///< Then it looks around without having been woken.
};

class Worker {
 public:
  /// Best called on the thread that runs it, so that what it writes each burst is on that thread's node. Errors: system
  /// (no waiter, no memory for a transfer).
  static Result<std::unique_ptr<Worker>> create(Fabric& fabric, const WorkerOptions& options);

  Worker(Fabric& fabric, const WorkerOptions& options, std::unique_ptr<Waiter> waiter,
         std::unique_ptr<Transfer> transfer);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const WorkerOptions& options() const noexcept { return options_; }
  /// The kernel's id of the thread that made it.
  int tid() const noexcept { return tid_; }
  BacklogOwner& backlog_owner() noexcept { return owner_; }

  /// Before the lane is among the fabric's, or before any worker runs. The lane is this worker's from now on, until
  /// RxLane::wanted names another one. Any thread.
  Result<void> adopt(RxLane& lane);

  /// The lane's device is gone: nothing of it wakes anybody any more. Any thread.
  void unwatch(const RxLane& lane) noexcept { waiter_->unwatch_fd(lane.device->fd()); }

  /// On the worker's lcore, until stop(), after which it may be run again. Returns false when it could not begin (pool
  /// too small for txonly's packets).
  bool run() noexcept;

  /// Before run() is called on another thread: from now on a Standstill waits for it.
  void will_run() noexcept { stands_.store(0, std::memory_order_release); }
  /// run() is not called after all.
  void will_not_run() noexcept { stands_.exchange(runs_not); }  // as in stood_still()
  /// For Standstill, whose number it is: returns when this worker waits for its end, or does not run. Whether there is
  /// room for what Fabric::room says.
  bool wait_until_it_stands(std::uint32_t number) noexcept;

  /// Any thread: ends run(), soon, or the next one at once.
  void stop() noexcept;
  /// Any thread: lanes changed.
  void wake() noexcept {
    wakes_.fetch_add(1, std::memory_order_release);
    wakes_.notify_all();
    waiter_->wake();
  }
  /// Any thread: run() has ended. The worker keeps its lanes, and nobody polls them.
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }

  /// By port.
  const std::vector<WorkerDrops>& drops() const noexcept { return drops_; }
  /// During a Standstill: the port's number is another port's from now on.
  void reset_drops(std::uint16_t port) noexcept { drops_[port].reset(); }

 private:
  template <typename Forwarder>
  void poll(Forwarder&& forwarder) noexcept;
  template <typename Forwarder>
  std::uint32_t poll_once(Forwarder& forwarder) noexcept;
  template <typename Moving, typename Copying>
  void forward() noexcept;
  bool generate() noexcept;
  bool run_mode() noexcept;

  template <typename Forwarder>
  std::uint32_t take_changes(Forwarder& forwarder) noexcept;
  template <typename Forwarder>
  bool stood_still(Forwarder& forwarder) noexcept;
  template <typename Forwarder>
  bool make_room(Forwarder& forwarder) noexcept;
  std::uint32_t refresh_lanes() noexcept;
  bool hand_over(RxLane& lane, std::uint16_t to) noexcept;
  std::uint32_t flush_backlogs() noexcept;
  void rest() noexcept;
  void sleep() noexcept;
  void sleep_until_woken() noexcept;
  bool arm_receivers(bool on) noexcept;
  bool arm_senders() noexcept;
  void disarm_senders() noexcept;

  Fabric& fabric_;
  const WorkerOptions options_;
  std::unique_ptr<Waiter> waiter_;
  std::unique_ptr<Transfer> transfer_;
  BacklogOwner owner_;
  std::vector<WorkerDrops> drops_;  // for as many ports as there may be
  std::vector<RxLane*> lanes_;      // those that name this worker; refreshed when the fabric's version changes
  std::vector<RxLane*> active_;     // of lanes_: those with a running ring
  std::vector<TxQueue*> armed_;     // transmit queues whose guest was asked to kick
  std::uint32_t lanes_version_ = 0;
  std::uint32_t idle_polls_ = 0;
  std::uint64_t idle_since_ = 0;
  const int tid_;
  static constexpr std::uint32_t runs_not = 0xffff'fffe;  // even: no standstill's number
  bool has_room_ = true;                                  // the last answer; published by stands_
  std::atomic<std::uint32_t> stands_{runs_not};           // the number of the standstill that this worker waits in
  std::atomic<std::uint32_t> wakes_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
};

}  // namespace vhostx::tools
