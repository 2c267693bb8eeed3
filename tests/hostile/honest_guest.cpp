// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/honest_guest.hpp"

#include <algorithm>
#include <chrono>
#include <poll.h>

#include "tests/hostile/back_end.hpp"

namespace vhostx::hostile {

using tools::probe::Decided;

HonestGuest::HonestGuest(const tools::probe::Subject& subject, const tools::probe::GuestPlan& plan)
    : guest_(subject, plan) {
  guest_.start();
  thread_ = std::thread([this] { pump(); });
}

HonestGuest::~HonestGuest() {
  stopping_ = true;
  guest_.receive().kick();  // harmless; the thread looks up by itself
  thread_.join();
}

void HonestGuest::pump() {
  constexpr int look_up_ms = 20;
  while (!stopping_) {
    pollfd call{guest_.receive().call_fd(), POLLIN, 0};
    ::poll(&call, 1, look_up_ms);
    guest_.receive().drain_call();
    const std::lock_guard lock(mutex_);
    take_all();
  }
}

void HonestGuest::take_all() try {
  while (const auto arrival = guest_.take_arrival()) {
    const std::int64_t number = tools::probe::number_of(arrival->bytes);
    if (number < 0) {
      ++arrivals_.others;
      continue;
    }
    ++arrivals_.seen[number];
    if (number < highest_) ++arrivals_.reordered;
    highest_ = std::max(highest_, number);
  }
} catch (const Decided& decided) {
  arrivals_.fault = decided.verdict.seen;
}

unsigned HonestGuest::send_locked(unsigned count) {
  guest_.take_sent();
  const unsigned room = guest_.transmit().chain_count() - guest_.transmit().outstanding();
  const unsigned now = std::min(room, count);
  guest_.send(now);
  sent_ += now;
  return now;
}

unsigned HonestGuest::send(unsigned count) {
  const std::lock_guard lock(mutex_);
  return send_locked(count);
}

bool HonestGuest::send_all(unsigned count) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (count != 0 && std::chrono::steady_clock::now() < end) {
    count -= send(count);
    if (count != 0) std::this_thread::sleep_for(std::chrono::microseconds(200));  // shared memory has no event
  }
  return count == 0;
}

HonestGuest::Arrivals HonestGuest::arrivals() const {
  const std::lock_guard lock(mutex_);
  return arrivals_;
}

void HonestGuest::forget_arrivals() {
  const std::lock_guard lock(mutex_);
  arrivals_ = {};
  highest_ = -1;
}

std::uint32_t HonestGuest::next_number() const {
  const std::lock_guard lock(mutex_);
  return sent_ + 1;
}

}  // namespace vhostx::hostile
