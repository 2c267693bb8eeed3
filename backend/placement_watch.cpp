// SPDX-License-Identifier: BSD-3-Clause
#include "backend/placement_watch.hpp"

#include <utility>

namespace vhostx::backend {

PlacementWatch::PlacementWatch(asio::any_io_executor executor, const PortOptions& options, bool several_nodes,
                               std::function<void()> look)
    : timer_(std::move(executor)),
      look_(std::move(look)),
      on_(options.numa != NumaPolicy::off),
      // With one node nothing moves: what was found when the ring started stays true.
      interval_(several_nodes ? options.numa_interval : std::chrono::milliseconds(0)) {}

void PlacementWatch::due() {
  if (!on_ || due_) return;
  due_ = true;
  start(std::chrono::milliseconds(10));
}

void PlacementWatch::stop() noexcept {
  due_ = false;
  timer_.cancel();
}

void PlacementWatch::start(std::chrono::milliseconds delay) {
  timer_.start(delay, [this] {
    due_ = false;
    if (interval_ != std::chrono::milliseconds(0)) start(interval_);
    const auto look = look_;
    look();
  });
}

}  // namespace vhostx::backend
