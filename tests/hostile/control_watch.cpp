// SPDX-License-Identifier: BSD-3-Clause
// An answer within 100 ms is a promise about the control thread, not about the machine. On a busy one both threads, the
// one that answers and the one that asks, stand in the scheduler's queue; the kernel counts for each how long, and the
// hypervisor what it took. What is left is time in which the control thread worked for somebody else, or slept on
// something: that is what is measured.
#include "tests/hostile/control_watch.hpp"

#include <algorithm>
#include <unistd.h>

#include "tests/hostile/process_facts.hpp"

namespace vhostx::hostile {

using Clock = std::chrono::steady_clock;
using protocol::FrontEndRequest;

namespace {
constexpr std::chrono::milliseconds pause{3};
}  // namespace

ControlWatch::ControlWatch(tools::probe::Link& link, pid_t back_end)
    : link_(link), back_end_(back_end), control_thread_(thread_named(back_end, "vhostx-control")) {
  thread_ = std::thread([this] { run(); });
}

ControlWatch::~ControlWatch() {
  stopping_ = true;
  thread_.join();
}

void ControlWatch::run() {
  own_thread_ = ::gettid();
  while (!stopping_) {
    ask();
    std::this_thread::sleep_for(pause);
  }
}

std::chrono::nanoseconds ControlWatch::not_its_fault() const {
  return time_in_queue(back_end_, control_thread_) + time_in_queue(::getpid(), own_thread_) + time_stolen();
}

void ControlWatch::ask() {
  const auto excused_before = not_its_fault();
  const auto begun = Clock::now();
  const auto answer = link_.get_u64(FrontEndRequest::get_features);
  const auto took = Clock::now() - begun;
  const auto excused = not_its_fault() - excused_before;
  const std::lock_guard lock(mutex_);
  if (!answer) {
    finding_.failure = answer.error().message;
    stopping_ = true;  // the connection is of no more use
    return;
  }
  ++finding_.answers;
  finding_.longest = std::max<std::chrono::nanoseconds>(finding_.longest, took - excused);
}

ControlWatch::Finding ControlWatch::take_finding() {
  const std::lock_guard lock(mutex_);
  Finding taken = finding_;
  finding_ = {.failure = taken.failure};
  return taken;
}

}  // namespace vhostx::hostile
