// SPDX-License-Identifier: BSD-3-Clause
#include "base/slow_signals.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <exception>
#include <pthread.h>
#include <thread>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/error.hpp"
#include "base/event_fd.hpp"
#include "base/peer_signals.hpp"
#include "base/signals_blocked.hpp"
#include "base/ticks.hpp"

namespace vhostx {
namespace {

constexpr std::uint64_t long_ns = 200'000;
constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t rest_max_ns = 5 * second_ns;
constexpr std::uint64_t suspected = ~std::uint64_t{0};  // in thread_until_: the next signal is measured

// Values of the list that are no events, and never dereferenced.
PeerEvent* marker(std::uintptr_t number) noexcept { return reinterpret_cast<PeerEvent*>(number); }
PeerEvent* no_thread() noexcept { return marker(1); }  // no thread looks at the list
PeerEvent* closed() noexcept { return marker(2); }     // none ever will
bool is_event(const PeerEvent* entry) noexcept { return reinterpret_cast<std::uintptr_t>(entry) > 2; }

std::uint64_t thread_cpu_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * second_ns + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t signal_and_measure(const PeerEvent& event) noexcept {
  const std::uint64_t begin = thread_cpu_ns();
  signal_peer(event.fd.get());
  return thread_cpu_ns() - begin;
}

// True: woken, or the word had another value already.
bool wait_for(std::atomic<std::uint32_t>& word, std::uint32_t value, std::uint64_t ns) noexcept {
  const timespec timeout{static_cast<time_t>(ns / second_ns), static_cast<long>(ns % second_ns)};
  return ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, &timeout, nullptr, 0) == 0 || errno != ETIMEDOUT;
}

void wake(std::atomic<std::uint32_t>& word) noexcept {
  word.fetch_add(1, std::memory_order_release);
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

SlowSignals::SlowSignals(std::shared_ptr<const EventFd> attention) noexcept
    : attention_(std::move(attention)), list_(no_thread()) {}

bool SlowSignals::uses_thread() const noexcept {
  const std::uint64_t until = thread_until_.load(std::memory_order_relaxed);
  return until != suspected && ticks() < until;
}

void SlowSignals::signal(PeerEvent& event) noexcept {
  const std::uint64_t before = ticks();
  const std::uint64_t until = thread_until_.load(std::memory_order_relaxed);
  if (before < until) [[unlikely]] {
    if (until != suspected) return put(event);
    const bool slow = signal_and_measure(event) > long_ns;
    const std::uint64_t after = ticks();
    return change_until(until, slow ? after + 1000 * (after - before) : 0);
  }
  signal_peer(event.fd.get());
  const auto took = static_cast<std::int64_t>(ticks() - before);
  if (took > static_cast<std::int64_t>(ticks_of_100_us())) [[unlikely]]
    change_until(until, suspected);  // or this thread was only preempted
}

// Does nothing if another thread has changed it meanwhile.
void SlowSignals::change_until(std::uint64_t before, std::uint64_t after) noexcept {
  thread_until_.compare_exchange_strong(before, after, std::memory_order_relaxed);
}

void SlowSignals::use_thread_for(std::uint64_t ticks_long) noexcept {
  const std::uint64_t until = ticks() + ticks_long;
  std::uint64_t now = thread_until_.load(std::memory_order_relaxed);
  while (now < until && !thread_until_.compare_exchange_weak(now, until, std::memory_order_relaxed)) {
  }
}

// A caller that finds the event waiting gets its signal: the thread takes the event out of the list before it signals.
// The peer sees what the caller stored before that signal: the exchange of `waits` here releases, the thread's
// acquires.
void SlowSignals::put(PeerEvent& event) noexcept {
  if (event.waits.exchange(true, std::memory_order_acq_rel)) return;
  event.self = event.weak_from_this().lock();
  PeerEvent* before = list_.load(std::memory_order_relaxed);
  do {
    if (before == closed()) return event.self.reset();
    event.next = before;
  } while (!list_.compare_exchange_weak(before, &event, std::memory_order_acq_rel, std::memory_order_relaxed));
  if (before == nullptr) return wake(wakes_);
  if (before != no_thread()) return;
  thread_wanted_.store(true, std::memory_order_release);
  attention_->signal();
}

// An event that is used may be put into the list again.
template <typename Use>
void SlowSignals::take_each(PeerEvent* list, Use use) {
  while (is_event(list)) {
    const auto event = std::move(list->self);
    list = list->next;
    event->waits.exchange(false, std::memory_order_acq_rel);
    use(*event);
  }
}

Result<void> SlowSignals::serve() noexcept {
  if (!thread_wanted_.exchange(false, std::memory_order_acquire)) return {};
  try {
    const SignalsBlocked blocked;  // inherited by the thread
    std::thread([self = shared_from_this()] { self->run(); }).detach();
    return {};
  } catch (const std::exception&) {
    take_each(list_.exchange(no_thread(), std::memory_order_acq_rel),
              [](const PeerEvent& event) { signal_peer(event.fd.get()); });
    return make_system_error(EAGAIN, "starting the thread for slow signals");
  }
}

void SlowSignals::close() noexcept {
  take_each(list_.exchange(closed(), std::memory_order_acq_rel), [](const PeerEvent&) {});
  wake(wakes_);
  wake(closed_);
}

// ---- the thread ----

void SlowSignals::run() noexcept {
  ::pthread_setname_np(::pthread_self(), "vhostx-signals");
  while (make_all() || sleep_or_end()) {
  }
}

// Null: there is nothing. The closed mark stays.
PeerEvent* SlowSignals::take_all() noexcept {
  PeerEvent* list = list_.load(std::memory_order_acquire);
  while (is_event(list) && !list_.compare_exchange_weak(list, nullptr, std::memory_order_acq_rel)) {
  }
  return is_event(list) ? list : nullptr;
}

// False: there was nothing.
bool SlowSignals::make_all() noexcept {
  PeerEvent* const list = take_all();
  take_each(list, [this](const PeerEvent& event) {
    if (closed_.load(std::memory_order_acquire) == 0) make(event);
  });
  return list != nullptr;
}

void SlowSignals::make(const PeerEvent& event) noexcept {
  const std::uint64_t begin = ticks();
  made_by_thread_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t used_ns = signal_and_measure(event);
  if (used_ns <= long_ns) return;
  const std::uint64_t end = ticks();
  use_thread_for(1000 * (end - begin));
  if (begin >= std::exchange(reported_until_, end + 1000 * (end - begin))) {
    report_us_.store(used_ns / 1000, std::memory_order_relaxed);
    attention_->signal();
  }
  static_cast<void>(wait_for(closed_, 0, std::min(100 * used_ns, rest_max_ns)));
}

// False: the thread ends. The list is empty then, and the next put() finds no_thread.
bool SlowSignals::sleep_or_end() noexcept {
  // Loads the count first: put() adds to it after it has changed the list. With a new count we see the new list (wake()
  // releases it); with an old one the futex does not wait.
  const std::uint32_t wakes = wakes_.load(std::memory_order_acquire);
  PeerEvent* list = list_.load(std::memory_order_acquire);
  if (list == closed()) return false;
  if (list != nullptr || wait_for(wakes_, wakes, second_ns)) return true;
  PeerEvent* empty = nullptr;
  return !list_.compare_exchange_strong(empty, no_thread(), std::memory_order_acq_rel) && empty != closed();
}

}  // namespace vhostx
