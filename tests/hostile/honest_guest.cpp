// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/honest_guest.hpp"

#include <algorithm>
#include <chrono>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "tests/hostile/back_end.hpp"

namespace vhostx::hostile {

using tools::probe::Decided;

HonestGuest::HonestGuest(const tools::probe::Subject& subject, const tools::probe::GuestPlan& plan,
                         OnArrival on_arrival)
    : guest_(subject, plan), on_arrival_(std::move(on_arrival)) {
  guest_.start();
  thread_ = std::thread([this] { pump(); });
  thread_id_.wait(0);
}

HonestGuest::~HonestGuest() {
  stopping_ = true;
  const std::uint64_t one = 1;
  static_cast<void>(::write(guest_.receive().call_fd(), &one, sizeof one) ==
                    sizeof one);  // so that the thread looks up
  thread_.join();
}

void HonestGuest::pump() {
  // A thread that wakes for nothing stands in the scheduler's queue for nothing, which would excuse others.
  constexpr int look_up_ms = 500;
  thread_id_ = ::gettid();
  thread_id_.notify_one();
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
    arrival_count_ = arrivals_.seen.size();
    if (number < highest_) ++arrivals_.reordered;
    highest_ = std::max(highest_, number);
    if (on_arrival_) on_arrival_(number);
  }
} catch (const Decided& decided) {
  arrivals_.fault = decided.verdict.seen;
}

unsigned HonestGuest::send_locked(unsigned count, bool to_all) {
  guest_.take_sent();
  const unsigned room = guest_.transmit().chain_count() - guest_.transmit().outstanding();
  const unsigned now = std::min(room, count);
  guest_.send(now, 0, to_all);
  sent_ += now;
  return now;
}

unsigned HonestGuest::send(unsigned count, bool to_all) {
  const std::lock_guard lock(mutex_);
  return send_locked(count, to_all);
}

bool HonestGuest::send_all(unsigned count, bool to_all) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (count != 0 && std::chrono::steady_clock::now() < end) {
    count -= send(count, to_all);
    if (count != 0) std::this_thread::sleep_for(std::chrono::microseconds(200));  // shared memory has no event
  }
  return count == 0;
}

void HonestGuest::post_at_most(unsigned buffers) {
  const std::lock_guard lock(mutex_);
  guest_.post_at_most(buffers);
  guest_.post_receive();
}

HonestGuest::Arrivals HonestGuest::arrivals() const {
  const std::lock_guard lock(mutex_);
  return arrivals_;
}

void HonestGuest::forget_arrivals() {
  const std::lock_guard lock(mutex_);
  arrivals_ = {};
  arrival_count_ = 0;
  highest_ = -1;
}

std::uint32_t HonestGuest::next_number() const {
  const std::lock_guard lock(mutex_);
  return sent_ + 1;
}

}  // namespace vhostx::hostile
