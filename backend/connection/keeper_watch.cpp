// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/keeper_watch.hpp"

#include <algorithm>
#include <utility>

namespace vhostx::backend {

KeeperWatch::KeeperWatch(asio::any_io_executor executor, std::function<void()> on_readable)
    : executor_(std::move(executor)), on_readable_(std::move(on_readable)), timer_(executor_) {}

void KeeperWatch::begin(KeeperLink& link) {
  link_ = &link;
  watch_.reset();
  if (link.event_fd() < 0) return;
  watch_ = std::make_unique<FdWatch>(executor_, link.event_fd(), [this] {
    watch_->arm();
    on_readable_();
  });
  watch_->arm();
}

// Who waits for the bundle leaves it to its owner to find the next keeper first.
void KeeperWatch::lost() {
  constexpr std::chrono::milliseconds first{500}, of_waiting{2'000};
  constexpr std::chrono::minutes good_for{1};  // then it is not one that fails again and again
  watch_.reset();
  if (std::chrono::steady_clock::now() > found_at_ + good_for) pause_ = {};
  pause_ = std::max(link_->owns() ? first : of_waiting, pause_);
  timer_.start(pause_, [this] { look(); });
}

void KeeperWatch::look() {
  constexpr std::chrono::milliseconds longest{30'000};
  pause_ = std::min(2 * pause_, longest);
  if (!link_->reconnect()) return timer_.start(pause_, [this] { look(); });
  found_at_ = std::chrono::steady_clock::now();
  begin(*link_);
}

void KeeperWatch::end() noexcept {
  watch_.reset();
  timer_.cancel();
}

}  // namespace vhostx::backend
