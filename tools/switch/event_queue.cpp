// SPDX-License-Identifier: BSD-3-Clause
// EventQueue: a locked vector, an eventfd, and a token bucket for each port.
#include "tools/switch/event_queue.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include <sys/eventfd.h>

namespace vhostx::tools {

EventQueue::EventQueue(unsigned per_second) : per_second_(per_second), fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

EventQueue::~EventQueue() {
  if (fd_ >= 0) close(fd_);
}

double EventQueue::seconds() const noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void EventQueue::add_port(const std::string& port, unsigned vrings) {
  const std::lock_guard guard(mutex_);
  events_of(port, vrings);
}

void EventQueue::remove_port(const std::string& port) {
  {
    const std::lock_guard guard(mutex_);
    const auto place = ports_.find(port);
    if (place == ports_.end()) return;
    for (; !place->second.held.empty(); --held_) {
      auto event = take_oldest(place->second);
      if (waiting_.size() < waiting_max) waiting_.push_back(std::move(event));  // else nobody reads: it is left out
    }
    ports_.erase(place);
  }
  wake();
}

EventQueue::PortEvents& EventQueue::events_of(const std::string& port, unsigned vrings) {
  const auto [place, is_new] = ports_.try_emplace(port);
  PortEvents& events = place->second;
  if (is_new) events.at_once = events.room = double{seconds_at_once} * per_second_ + double{vring_at_once} * vrings;
  return events;
}

void EventQueue::push(const std::string& port, const PortEvent& event) {
  {
    const std::lock_guard guard(mutex_);
    const double now = seconds();
    auto& events = events_of(port);
    if (!events.held.empty() || waiting_.size() >= waiting_max || !take_room(events, now)) {
      const bool is_first = held_ == 0;
      hold(events, {now, port, event});
      if (!is_first) return;  // the main thread knows that something is kept back
    } else {
      const bool is_first = waiting_.empty();
      waiting_.push_back({now, port, event});
      if (!is_first) return;  // nor of this one: it takes all that waits
    }
  }
  wake();
}

EventQueue::Key EventQueue::key_of(const PortEvent& event) {
  const auto vring = std::visit(
      [](const auto& one) -> std::uint16_t {
        if constexpr (requires { one.index; })
          return one.index;
        else
          return 0;
      },
      event);
  return {event.index(), vring};
}

bool EventQueue::take_room(PortEvents& port, double now) const {
  port.room = std::min(port.at_once, port.room + (now - port.filled_at) * per_second_);
  port.filled_at = now;
  if (port.room < 1) return false;
  port.room -= 1;
  return true;
}

/// The last of its kind counts, and stands where it happened.
void EventQueue::hold(PortEvents& port, TimedEvent event) {
  const auto key = key_of(event.event);
  const auto [place, is_new] = port.held.insert_or_assign(key, Held{order_++, std::move(event)});
  held_ += is_new ? 1 : 0;
  port.left_out += is_new ? 0 : 1;
  lost_ += is_new ? 0 : 1;
}

TimedEvent EventQueue::take_oldest(PortEvents& port) {
  const auto oldest = std::min_element(port.held.begin(), port.held.end(), [](const auto& one, const auto& other) {
    return one.second.order < other.second.order;
  });
  TimedEvent event = std::move(oldest->second.event);
  port.held.erase(oldest);
  event.left_out = std::exchange(port.left_out, 0);
  return event;
}

void EventQueue::wake() noexcept { eventfd_write(fd_, 1); }

void EventQueue::hush() noexcept {
  eventfd_t ignored = 0;
  eventfd_read(fd_, &ignored);
}

std::vector<TimedEvent> EventQueue::take(Take which) {
  hush();
  const std::lock_guard guard(mutex_);
  const double now = seconds();
  auto events = std::exchange(waiting_, {});
  for (auto& [name, port] : ports_)
    while (!port.held.empty() && (which == Take::all || take_room(port, now))) {
      events.push_back(take_oldest(port));
      --held_;
    }
  return events;
}

bool EventQueue::holds_back() const {
  const std::lock_guard guard(mutex_);
  return held_ != 0;
}

std::uint64_t EventQueue::lost() const {
  const std::lock_guard guard(mutex_);
  return lost_;
}

}  // namespace vhostx::tools
