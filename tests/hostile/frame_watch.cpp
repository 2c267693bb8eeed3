// SPDX-License-Identifier: BSD-3-Clause
// A frame within 100 ms is a promise about the back-end, not about the machine. So time is taken off in which a thread
// that the frame goes through stood in the scheduler's queue: the sender, the receiver, whoever holds their locks, and
// all threads of the back-end, as one of them may hold what a worker's page fault waits for. So is what the hypervisor
// took, and what the machine stood still without counting it anywhere: a thread that sleeps a millisecond and neither
// waits for a CPU nor wakes shows that.
#include "tests/hostile/frame_watch.hpp"

#include <algorithm>
#include <thread>
#include <unistd.h>
#include <utility>

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;

namespace {
/// What is shorter is not looked into: reading what is excused costs more than the frame.
constexpr std::chrono::milliseconds short_enough{10};
}  // namespace

FrameWatch::FrameWatch(pid_t back_end) : own_pid_(::getpid()) {
  for (const pid_t thread : threads_of(back_end)) queues_.add(back_end, thread);
}

std::chrono::nanoseconds FrameWatch::not_its_fault() const {
  return queues_.total() + time_stolen() + std::chrono::nanoseconds(machine_stood_ns_.load());
}

void FrameWatch::sent(std::size_t way, std::int64_t number) {
  const auto excused = not_its_fault();
  const std::lock_guard lock(mutex_);
  under_way_[way][number] = {Clock::now(), excused};
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

void FrameWatch::sleep(std::chrono::nanoseconds time) {
  const auto queued = time_in_queue(own_pid_, ::gettid());
  const auto begun = Clock::now();
  std::this_thread::sleep_for(time);
  const std::chrono::nanoseconds late = Clock::now() - begun - time;
  const auto unexplained = late - (time_in_queue(own_pid_, ::gettid()) - queued);
  if (unexplained > std::chrono::milliseconds(1)) machine_stood_ns_ += unexplained.count();
}

std::chrono::nanoseconds FrameWatch::take_longest() {
  const std::lock_guard lock(mutex_);
  for (auto& way : under_way_) way.clear();
  return std::exchange(longest_, {});
}

}  // namespace vhostx::hostile
