// SPDX-License-Identifier: BSD-3-Clause
// PlacementWatch: decides when a port checks where its guest's memory is.
#pragma once

#include <chrono>
#include <functional>

#include <asio/any_io_executor.hpp>

#include <vhostx/port.hpp>

#include "backend/loop/one_shot_timer.hpp"

namespace vhostx::backend {

/// Control thread. A check takes time, and a front-end can cause one: causes in quick succession share a check.
class PlacementWatch {
 public:
  /// `look` may destroy this.
  PlacementWatch(asio::any_io_executor executor, const PortOptions& options, bool several_nodes,
                 std::function<void()> look);

  /// A ring started, or memory changed: checks soon.
  void due();
  /// The connection is over.
  void stop() noexcept;

 private:
  void start(std::chrono::milliseconds delay);

  OneShotTimer timer_;
  const std::function<void()> look_;
  const bool on_;
  const std::chrono::milliseconds interval_;  // 0: none
  bool due_ = false;
};

}  // namespace vhostx::backend
