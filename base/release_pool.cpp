// SPDX-License-Identifier: BSD-3-Clause
#include "base/release_pool.hpp"

#include <cerrno>
#include <ctime>
#include <limits>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <utility>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/release_item.hpp"
#include "base/signals_blocked.hpp"

namespace vhostx {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t stack_bytes = std::size_t{256} << 10;

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* timeout) noexcept {
  return ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

// The stack is small, as many threads may be held up. Where thread-local variables need more, the usual size is used.
int create_detached(const cpu_set_t* cpus, std::size_t stack, void* (*run)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return ENOMEM;
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (stack != 0) ::pthread_attr_setstacksize(&attributes, stack);
  if (cpus != nullptr) ::pthread_attr_setaffinity_np(&attributes, sizeof *cpus, cpus);
  pthread_t thread{};
  const int error = ::pthread_create(&thread, &attributes, run, argument);
  ::pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace

struct ReleasePool::Worker {
  std::shared_ptr<Releases> releases;  // of what it releases
  Clock::time_point began;
  bool held_up = false;
};

ReleasePool::ReleasePool() noexcept : cpus_known_(::sched_getaffinity(0, sizeof cpus_, &cpus_) == 0) {}

// ---- threads that hand over

bool ReleasePool::prepare() noexcept { return has_thread() || start_thread(); }

void ReleasePool::add_ready(Releases& releases) noexcept {
  Releases* before = newly_ready_.load(std::memory_order_relaxed);
  do releases.next_ready_ = before;
  while (!newly_ready_.compare_exchange_weak(before, &releases));
  // Both sides store first and look then: if a thread that leaves misses this entry, we see that it has left.
  if (!has_thread()) {
    start_thread();
    return;
  }
  if (!serving_.load()) wake();
}

void ReleasePool::wake() noexcept {
  // Both sides store first and look then, here too: sleep() counts itself in sleepers_, and the kernel compares wakes_
  // after a fence.
  wakes_.fetch_add(1);
  if (sleepers_.load() != 0) futex(wakes_, FUTEX_WAKE, 1, nullptr);
}

void ReleasePool::finish() noexcept {
  finished_.store(true);
  wakes_.fetch_add(1);
  futex(wakes_, FUTEX_WAKE, std::numeric_limits<int>::max(), nullptr);
  if (newly_ready_.load() != nullptr) static_cast<void>(prepare());
}

bool ReleasePool::start_thread() noexcept {
  auto* const self = new (std::nothrow) std::shared_ptr<ReleasePool>(shared_from_this());
  if (self == nullptr) return false;
  awake_.fetch_add(1);
  const SignalsBlocked blocked;  // inherited by the thread
  const cpu_set_t* const cpus = cpus_known_ ? &cpus_ : nullptr;
  int error = create_detached(cpus, stack_bytes, run_thread, self);
  if (error == EINVAL) error = create_detached(nullptr, 0, run_thread, self);
  if (error == 0) return true;
  awake_.fetch_sub(1);
  delete self;
  return false;
}

// ---- the threads

void* ReleasePool::run_thread(void* pool) noexcept {
  auto* const given = static_cast<std::shared_ptr<ReleasePool>*>(pool);
  const std::shared_ptr<ReleasePool> self = std::move(*given);
  delete given;
  ::pthread_setname_np(::pthread_self(), "vhostx-release");  // 15 characters at most: 14
  // What it does is not urgent: where it shares a CPU, the thread that wakes it goes on first.
  const sched_param none{};
  if (::sched_getscheduler(0) == SCHED_OTHER) ::sched_setscheduler(0, SCHED_BATCH, &none);
  self->run();
  return nullptr;
}

void ReleasePool::run() noexcept {
  Worker self;
  std::unique_lock guard(lock_);
  for (;;) {
    work(guard, self);
    awake_.fetch_sub(1);
    if (newly_ready_.load() == nullptr || has_thread()) return;
    awake_.fetch_add(1);  // an item came while the last thread left
  }
}

void ReleasePool::work(std::unique_lock<std::mutex>& guard, Worker& self) noexcept {
  for (;;) {
    const std::uint32_t seen = wakes_.load();  // before gather(): a later wake() ends sleep() at once
    gather();
    look_after_brisk();
    if (brisk_ == nullptr && ready_first_ != nullptr)
      serve(guard, self);
    else if (leaves())
      return wake();  // this thread may have been the watcher
    else
      sleep(guard, seen);
  }
}

// One works, one watches.
bool ReleasePool::leaves() const noexcept {
  return awake_.load() > 2 || (finished_.load() && brisk_ == nullptr && ready_first_ == nullptr);
}

void ReleasePool::serve(std::unique_lock<std::mutex>& guard, Worker& self) noexcept {
  Releases& releases = *std::exchange(ready_first_, ready_first_->next_ready_);
  ReleaseItem* const item = releases.next_item();
  self = Worker{item->releases, Clock::now()};
  brisk_ = &self;
  serving_.store(true);
  if (awake_.load() < 2)
    start_thread();  // if that fails, the next serve() tries again
  else if (watchers_ == 0)
    wake();  // a thread that sleeps without a timeout does not watch
  guard.unlock();
  release(item);
  guard.lock();
  if (self.held_up) {
    awake_.fetch_add(1);
    if (releases.held_up_.fetch_sub(1) == Releases::held_up_max) relist(releases);
  } else {
    brisk_ = nullptr;
    serving_.store(false);  // before the next gather(), which finds the hand-overs that still saw true
    relist(releases);
  }
  guard.unlock();
  self.releases.reset();  // perhaps the last
  guard.lock();
}

void ReleasePool::sleep(std::unique_lock<std::mutex>& guard, std::uint32_t seen) noexcept {
  constexpr timespec pause{0, std::chrono::nanoseconds(held_up_after).count()};
  const bool watches = brisk_ != nullptr;
  if (watches) ++watchers_;
  guard.unlock();
  sleepers_.fetch_add(1);
  futex(wakes_, FUTEX_WAIT, seen, watches ? &pause : nullptr);
  sleepers_.fetch_sub(1);
  guard.lock();
  if (watches) --watchers_;
}

// Leaves a slow release to its thread, which is held up from now on.
void ReleasePool::look_after_brisk() noexcept {
  if (brisk_ == nullptr || Clock::now() - brisk_->began < held_up_after) return;
  Worker& slow = *std::exchange(brisk_, nullptr);
  slow.held_up = true;
  awake_.fetch_sub(1);
  slow.releases->held_up_.fetch_add(1);
  serving_.store(false);
  relist(*slow.releases);
  gather();
}

// Appends ports that have new items to the list of those that wait: each port has its turn.
void ReleasePool::gather() noexcept {
  Releases* found = newly_ready_.exchange(nullptr);
  Releases* in_order = nullptr;
  while (found != nullptr) {
    Releases* const next = found->next_ready_;
    found->next_ready_ = std::exchange(in_order, found);
    found = next;
  }
  if (in_order == nullptr) return;
  (ready_first_ == nullptr ? ready_first_ : ready_last_->next_ready_) = in_order;
  for (ready_last_ = in_order; ready_last_->next_ready_ != nullptr;) ready_last_ = ready_last_->next_ready_;
}

// One item of this port is done, and the port is in no list. If it has more, it goes to the end of the list. At
// held_up_max it waits until one of its threads is back; queued_ stays above 0 meanwhile, so no hand-over announces it.
void ReleasePool::relist(Releases& releases) noexcept {
  if (releases.held_up_.load() >= Releases::held_up_max) return;
  if (releases.queued_.fetch_sub(1) == 1) return;  // the next hand-over announces it
  releases.next_ready_ = nullptr;
  (ready_first_ == nullptr ? ready_first_ : ready_last_->next_ready_) = &releases;
  ready_last_ = &releases;
}

}  // namespace vhostx
