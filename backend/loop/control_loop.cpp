// SPDX-License-Identifier: BSD-3-Clause
#include "backend/loop/control_loop.hpp"

#include <cassert>
#include <condition_variable>
#include <deque>
#include <exception>
#include <pthread.h>
#include <system_error>
#include <utility>

#include <asio/steady_timer.hpp>

#include "backend/loop/control_cpus.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "base/signals_blocked.hpp"

namespace vhostx::backend {

Result<std::shared_ptr<ControlLoop>> ControlLoop::create(const BackendOptions& options) {
  try {
    const auto cpus = control_cpus(options.control_cpus);
    if (!cpus) return cpus.error();
    auto loop = std::make_shared<ControlLoop>(options, *cpus);
    if (options.control_thread == ControlThread::own)
      if (auto started = loop->start_thread(); !started) return std::move(started).error();
    return loop;
  } catch (const std::system_error& error) {  // the loop's epoll, eventfd or timerfd
    return make_system_error(error.code().value(), "the control loop");
  }
}

ControlLoop::ControlLoop(const BackendOptions& options, const cpu_set_t& cpus)
    : mode_(options.control_thread),
      log_(options.log, options.log_level),
      keeper_grace_(options.keeper_grace),
      keeper_claim_(options.keeper_claim),
      cpus_(cpus) {
  reserve_timers();
}

// Asio keeps running timers in a vector, which keeps its capacity: a timer that is started without free memory finds
// room, unless hundreds run.
void ControlLoop::reserve_timers() {
  constexpr std::size_t count = 256;
  struct Cancelled {  // waiting operations must be cancelled before their memory is freed, even if memory is out
    asio::io_context& io;
    ~Cancelled() { io.poll(); }
  };
  const auto room = std::make_unique<protocol::HandlerMemory<count>>();
  const Cancelled cancelled{io_};
  std::deque<asio::steady_timer> timers;
  for (std::size_t i = 0; i < count; ++i)
    timers.emplace_back(io_, std::chrono::hours(1)).async_wait(protocol::kept_in(*room, [](const std::error_code&) {}));
}

ControlLoop::~ControlLoop() { shut_down(); }

Result<void> ControlLoop::start_thread() {
  try {
    const SignalsBlocked blocked;  // inherited by the thread
    thread_ = std::thread([this] { run_thread(); });
    return {};
  } catch (const std::system_error& error) {
    return make_system_error(error.code().value(), "starting the control thread");
  }
}

void ControlLoop::run_thread() noexcept {
  ::pthread_setname_np(::pthread_self(), "vhostx-control");  // 15 characters at most: 14
  ::sched_setaffinity(0, sizeof cpus_, &cpus_);              // for the threads that it starts, too
  while (!io_.stopped()) {
    try {
      io_.run();
    } catch (const std::exception& error) {  // most likely out of memory: that handler is lost, others continue
      log_.error("control thread: {}", error.what());
    }
  }
}

std::size_t ControlLoop::run_for(std::chrono::milliseconds wait) noexcept {
  if (mode_ == ControlThread::own || delivering()) return 0;
  constexpr std::size_t handlers_per_run = 256;
  std::size_t count = 0;
  try {
    // run_one_for(0) would check nothing at all.
    count = io_.poll_one();
    if (count == 0) count = io_.run_one_for(wait);
    // Bounded: a front-end that floods its socket must not keep the application here.
    while (count != 0 && count < handlers_per_run && io_.poll_one() != 0) ++count;
  } catch (const std::exception& error) {
    log_.error("control side: {}", error.what());
    ++count;
  }
  return count;
}

void ControlLoop::shut_down() {
  {
    const std::lock_guard guard(lock_);
    if (std::exchange(stopped_, true)) return;
    // The last posted work. From now on work runs on its caller's thread.
    if (thread_.joinable())
      protocol::post_kept(executor(), last_work_, [this] {
        close_ports();
        io_.stop();
      });
  }
  if (thread_.joinable()) {
    assert(thread_.get_id() != std::this_thread::get_id() && "a Backend cannot be destroyed from an event handler");
    thread_.join();
  } else {
    close_ports();
  }
  // Cancelled waits still hold their handlers.
  work_.reset();
  io_.restart();
  while (io_.poll() != 0) {
  }
  release_kept();
  release_pool_->finish();
}

void ControlLoop::close_ports() {
  const auto ports = std::exchange(ports_, {});
  for (const auto& [address, port] : ports)
    if (const auto alive = port.lock()) alive->loop_ends();
  if (state_ != nullptr) state_->loop_ends();
  state_.reset();
}

bool ControlLoop::runs_here() const noexcept {
  return mode_ == ControlThread::application || thread_.get_id() == std::this_thread::get_id();
}

// The caller, who waits, provides the memory, because closing a port uses this too and must not fail.
struct ControlLoop::Errand {
  const std::function<void()>& work;
  protocol::HandlerMemory<1> memory;
  std::mutex lock;
  std::condition_variable done_changed;
  bool done = false;
  std::exception_ptr thrown;

  void run() noexcept {
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
    const std::lock_guard guard(lock);  // unlocking it is the last access: the errand may be gone then
    done = true;
    done_changed.notify_one();
  }
  void wait() {
    std::unique_lock guard(lock);
    done_changed.wait(guard, [this] { return done; });
  }
};

bool ControlLoop::post(Errand& errand) {
  const std::lock_guard guard(lock_);
  if (stopped_) return false;
  protocol::post_kept(executor(), errand.memory, [&errand] { errand.run(); });
  return true;
}

void ControlLoop::post_and_wait(const std::function<void()>& work) {
  Errand errand{work};
  if (runs_here() || !post(errand)) return work();
  errand.wait();
  if (errand.thrown) std::rethrow_exception(errand.thrown);
}

void ControlLoop::hold_memory() {
  auto holder = MemoryHolder::start();
  if (holder) return void(memory_holder_ = *std::move(holder));
  log_.info("if this process is killed, its connections are taken over later: {}", holder.error().message);
}

void ControlLoop::add(const std::shared_ptr<LoopPort>& port) {
  release_kept();
  ports_.emplace(port.get(), port);
}

std::string ControlLoop::describe_peer(int pid) {
  const auto now = std::chrono::steady_clock::now();
  if (pid == described_pid_ && now < described_until_) return description_;
  description_ = describe_process(pid);
  described_pid_ = pid;
  described_until_ = now + std::chrono::seconds(1);
  return description_;
}

void ControlLoop::take_over() noexcept {
  for (const auto& [number, port] : ports_)
    if (const auto lives = port.lock()) lives->get_ready();
  if (state_ != nullptr) state_->ask_owner();
  for (const auto& [number, port] : ports_)
    if (const auto lives = port.lock()) lives->ask_owner();
}

void ControlLoop::remove(const LoopPort& port) noexcept { ports_.erase(&port); }

void ControlLoop::keep(std::shared_ptr<LoopPort> port) noexcept {
  for (LoopPort* other = kept_.get(); other != nullptr; other = other->next_kept.get())
    if (other == port.get()) return;
  port->next_kept = std::move(kept_);
  kept_ = std::move(port);
}

void ControlLoop::release_kept() noexcept {
  auto list = std::exchange(kept_, nullptr);
  while (list != nullptr) {
    auto port = std::move(list);
    list = std::move(port->next_kept);
    if (port->is_in_use()) keep(std::move(port));
  }
}

}  // namespace vhostx::backend
