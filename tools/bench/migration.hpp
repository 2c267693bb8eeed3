// SPDX-License-Identifier: BSD-3-Clause
// Migration: moves a guest under traffic from its back-end to another, in the steps of a hypervisor (vhost-user,
// "Migration").
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/bench/frame.hpp"
#include "tools/bench/moving_endpoint.hpp"
#include "tools/driver/dirty_pages.hpp"

namespace vhostx::tools::bench {

/// Of one migration; pages are of 4096 bytes.
struct MoveSteps {
  using Clock = std::chrono::steady_clock;

  std::uint64_t pages_in_all = 0;
  std::uint64_t pages_dirtied = 0;  ///< While it ran: marks that were taken, once for each look that found them.
  unsigned looks = 0;
  double logged_seconds = 0;
  std::uint64_t pages_at_stop = 0;  ///< Marked when the rings had stopped.
  // The guest's downtime, as its hypervisor sees it.
  Clock::time_point left;     ///< It does nothing any more; GET_VRING_BASE follows.
  Clock::time_point stopped;  ///< The last of its rings has stopped.
  Clock::time_point copied;   ///< The rest of its memory is at the destination.
  Clock::time_point started;  ///< The destination has been told everything, and has answered.
};

/// A thread of its own does the steps: log on, all pages, marked pages until finish(); then it takes the guest away,
/// stops the rings, copies the rest, starts the rings at the destination, and puts the guest back.
class Migration {
 public:
  /// Connects to the destination and begins. The guest, whose traffic goes on, must outlive this. The destination
  /// delivers a RARP frame of `mac` (SEND_RARP) if it can.
  static Result<std::unique_ptr<Migration>> begin(MovingEndpoint& guest, const GuestOptions& destination,
                                                  const MacAddress& mac);
  /// Waits for its end.
  ~Migration();
  Migration(const Migration&) = delete;
  Migration& operator=(const Migration&) = delete;

  /// All memory is at the destination, but for what is written from now on.
  bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
  /// No more rounds: the guest is to move now.
  void finish() noexcept { finish_.store(true, std::memory_order_release); }
  /// It has moved, or it failed.
  bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  /// Waits for the end. The error names the step; the guest may be at neither place then.
  Result<MoveSteps> result();

 private:
  Migration(MovingEndpoint& guest, GuestOptions destination, const MacAddress& mac, DirtyPages log, FrontEnd front_end)
      : guest_(guest),
        destination_(std::move(destination)),
        mac_(mac),
        log_(std::move(log)),
        front_end_(std::move(front_end)) {}

  void run() noexcept;
  Result<void> move();
  Result<void> switch_log_on();
  void copy_while_it_runs();
  Result<void> copy_while_it_rests();
  Result<void> announce();

  MovingEndpoint& guest_;
  GuestOptions destination_;
  MacAddress mac_;
  DirtyPages log_;
  FrontEnd front_end_;  ///< Of the destination.
  MoveSteps steps_;
  Result<void> outcome_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> finish_{false};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace vhostx::tools::bench
