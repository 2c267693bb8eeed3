// SPDX-License-Identifier: BSD-3-Clause
// Worker: one lcore that polls its lanes, brings backlogs on, and sleeps when there is nothing to do.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include <vhostx/transfer.hpp>
#include <vhostx/waiter.hpp>

#include "tools/switch/backlog_owner.hpp"
#include "tools/switch/fabric.hpp"

namespace vhostx::tools {

struct WorkerOptions {
  bool busy_poll = false;
  std::uint16_t packet_size = 64;  ///< txonly
};

class Worker {
 public:
  /// Errors: system (no waiter, no memory for a transfer).
  static Result<std::unique_ptr<Worker>> create(Fabric& fabric, const WorkerOptions& options);

  Worker(Fabric& fabric, const WorkerOptions& options, std::unique_ptr<Waiter> waiter,
         std::unique_ptr<Transfer> transfer);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  BacklogOwner& backlog_owner() noexcept { return owner_; }

  /// Before run(). The lane is this worker's from now on.
  Result<void> adopt(RxLane& lane);

  /// On the worker's lcore, until stop(). Returns false when it could not begin (pool too small for txonly's packets).
  bool run() noexcept;

  /// Any thread: ends run(), soon.
  void stop() noexcept;
  /// Any thread: lanes changed.
  void wake() noexcept { waiter_->wake(); }

  const std::vector<WorkerDrops>& drops() const noexcept { return drops_; }

 private:
  template <typename Forwarder>
  void poll(Forwarder&& forwarder) noexcept;
  template <typename Forwarder>
  std::uint32_t poll_once(Forwarder& forwarder) noexcept;
  template <typename Moving, typename Copying>
  void forward() noexcept;
  bool generate() noexcept;

  void refresh_active() noexcept;
  std::uint32_t flush_backlogs() noexcept;
  void rest() noexcept;
  void sleep() noexcept;
  bool arm_receivers(bool on) noexcept;
  bool arm_senders() noexcept;
  void disarm_senders() noexcept;

  Fabric& fabric_;
  const WorkerOptions options_;
  std::unique_ptr<Waiter> waiter_;
  std::unique_ptr<Transfer> transfer_;
  BacklogOwner owner_;
  std::vector<WorkerDrops> drops_;
  std::vector<RxLane*> lanes_;
  std::vector<RxLane*> active_;  // of lanes_: those with a running ring; refreshed when the fabric's version changes
  std::vector<TxQueue*> armed_;  // transmit queues whose guest was asked to kick
  std::uint32_t lanes_version_ = 0;
  std::uint32_t idle_polls_ = 0;
  std::uint64_t idle_since_ = 0;
  std::atomic<bool> stopping_{false};
};

}  // namespace vhostx::tools
