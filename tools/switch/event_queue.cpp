// SPDX-License-Identifier: BSD-3-Clause
// EventQueue: a locked vector and an eventfd.
#include "tools/switch/event_queue.hpp"

#include <unistd.h>
#include <utility>

#include <sys/eventfd.h>

namespace vhostx::tools {

EventQueue::EventQueue() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

EventQueue::~EventQueue() {
  if (fd_ >= 0) close(fd_);
}

double EventQueue::seconds() const noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void EventQueue::push(const std::string& port, const PortEvent& event) {
  {
    const std::lock_guard guard(mutex_);
    if (waiting_.size() >= events_max) {
      ++lost_;
      return;
    }
    waiting_.push_back({seconds(), port, event});
  }
  wake();
}

void EventQueue::wake() noexcept { eventfd_write(fd_, 1); }

std::vector<TimedEvent> EventQueue::take() {
  eventfd_t ignored = 0;
  eventfd_read(fd_, &ignored);
  const std::lock_guard guard(mutex_);
  return std::exchange(waiting_, {});
}

std::uint64_t EventQueue::lost() const {
  const std::lock_guard guard(mutex_);
  return lost_;
}

}  // namespace vhostx::tools
