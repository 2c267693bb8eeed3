// SPDX-License-Identifier: BSD-3-Clause
// HonestGuest: a guest that behaves, with a thread that takes what arrives at it and remembers which frames those were.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include <sys/types.h>

#include "tools/probe/check/guest.hpp"

namespace vhostx::hostile {

class HonestGuest {
 public:
  /// Told of each frame of ours that arrives, by the guest's own thread.
  using OnArrival = std::function<void(std::int64_t number)>;

  /// Connects and starts its rings. Throws Decided.
  HonestGuest(const tools::probe::Subject& subject, const tools::probe::GuestPlan& plan, OnArrival on_arrival = {});
  ~HonestGuest();
  HonestGuest(const HonestGuest&) = delete;
  HonestGuest& operator=(const HonestGuest&) = delete;

  /// Sends as many as its ring has room for, at most `count`, numbered on. How many that were.
  unsigned send(unsigned count, bool to_all = false);
  /// The same, until all are sent. False: the back-end takes none any more.
  bool send_all(unsigned count, bool to_all = false);

  struct Arrivals {
    std::map<std::int64_t, unsigned> seen;  ///< Frames of ours: how often each number came.
    unsigned reordered = 0;                 ///< Came behind one with a higher number.
    std::uint64_t others = 0;               ///< What is no frame of ours.
    std::string fault;                      ///< What the back-end may not do with a ring; empty: nothing.
  };
  Arrivals arrivals() const;
  void forget_arrivals();
  /// How many different ones there are; waits for no lock.
  std::size_t arrival_count() const noexcept { return arrival_count_; }
  /// Posts no more receive buffers than this from now on; those that are posted already stay.
  void post_at_most(unsigned buffers);
  /// Of the thread that takes what arrives.
  pid_t thread_id() const noexcept { return thread_id_; }
  /// The first number of the frames from now on.
  std::uint32_t next_number() const;

  /// For its own connection alone: another thread than the rings' may use it.
  tools::probe::Link& link() noexcept { return guest_.link(); }

 private:
  void pump();
  void take_all();
  unsigned send_locked(unsigned count, bool to_all);

  mutable std::mutex mutex_;
  tools::probe::Guest guest_;
  std::uint32_t sent_ = 0;
  Arrivals arrivals_;
  std::atomic<std::size_t> arrival_count_{0};
  std::int64_t highest_ = -1;
  OnArrival on_arrival_;
  std::atomic<pid_t> thread_id_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace vhostx::hostile
