// SPDX-License-Identifier: BSD-3-Clause
// A frame within 100 ms is a promise about the back-end, not about the machine. So time is taken off in which a thread
// that the frame goes through stood in the scheduler's queue: the back-end's workers, the receivers, both of which hold
// locks that the sender waits for, and the sender while it sends, as it then holds those of the receivers. No other
// thread's: on a busy machine all wait at the same time, and their sum would excuse anything. So is what the hypervisor
// took. That a thread which sleeps wakes late is no excuse: the back-end holds up a whole CPU when the kernel walks the
// waiters of an eventfd for it.
#include "tests/hostile/frame_watch.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;

namespace {

/// What is shorter is not looked into: reading what is excused costs more than the frame.
constexpr std::chrono::milliseconds short_enough{10};

/// Of DPDK's lcores; or, where a back-end has none of that name, whatever is not the control thread.
QueueTime workers_of(pid_t back_end) {
  QueueTime workers;
  unsigned found = 0;
  for (const pid_t thread : threads_of(back_end))
    if (name_of_thread(back_end, thread).find("worker") != std::string::npos) workers.add(back_end, thread), ++found;
  if (found != 0) return workers;
  for (const pid_t thread : threads_of(back_end))
    if (name_of_thread(back_end, thread) != "vhostx-control") workers.add(back_end, thread);
  return workers;
}

}  // namespace

FrameWatch::FrameWatch(pid_t back_end) : own_pid_(::getpid()), threads_(workers_of(back_end)) {}

void FrameWatch::begin_sending() { sender_ = ::gettid(); }

/// With the mutex.
std::chrono::nanoseconds FrameWatch::not_its_fault() const {
  auto sender = queued_in_sends_;
  if (send_began_.count() >= 0) sender += sender_in_queue() - send_began_;
  return threads_.total() + sender + time_stolen();
}

void FrameWatch::send(std::size_t way, std::int64_t number, const std::function<void()>& send) {
  {
    const std::lock_guard lock(mutex_);
    send_began_ = sender_in_queue();
    const auto excused = not_its_fault();
    under_way_[way][number] = {Clock::now(), excused};
  }
  send();
  const std::lock_guard lock(mutex_);
  queued_in_sends_ += sender_in_queue() - std::exchange(send_began_, std::chrono::nanoseconds(-1));
}

void FrameWatch::arrived(std::size_t way, std::int64_t number) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  const auto found = under_way_[way].find(number);
  if (found == under_way_[way].end()) return;  // a second time, which others complain of
  std::chrono::nanoseconds took = now - found->second.at;
  if (took > short_enough) took -= not_its_fault() - found->second.excused;
  longest_ = std::max(longest_, took);
  under_way_[way].erase(found);
}

std::chrono::nanoseconds FrameWatch::take_longest() {
  const std::lock_guard lock(mutex_);
  for (auto& way : under_way_) way.clear();
  return std::exchange(longest_, {});
}

}  // namespace vhostx::hostile
