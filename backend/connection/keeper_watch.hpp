// SPDX-License-Identifier: BSD-3-Clause
// KeeperWatch: notices what a keeper says, and looks for another one where it is lost.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

#include "backend/connection/keeper_link.hpp"
#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"

namespace vhostx::backend {

/// Control thread.
class KeeperWatch {
 public:
  /// Who has lost a keeper and finds it again has done so by then, with some time to spare.
  static constexpr std::chrono::seconds looks_within{60};

  /// `on_readable` asks the link for its events; it may destroy this.
  KeeperWatch(asio::any_io_executor executor, std::function<void()> on_readable);

  /// `link` outlives this, or end().
  void begin(KeeperLink& link);
  /// KeeperLink::Lost.
  void lost();
  void end() noexcept;

 private:
  void look();

  const asio::any_io_executor executor_;
  const std::function<void()> on_readable_;
  KeeperLink* link_ = nullptr;
  std::unique_ptr<FdWatch> watch_;
  OneShotTimer timer_;
  std::chrono::milliseconds pause_{};  // before the next look
  std::chrono::steady_clock::time_point found_at_{};
};

}  // namespace vhostx::backend
