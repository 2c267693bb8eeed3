// SPDX-License-Identifier: BSD-3-Clause
// ControlLoop: runs everything but the data path: one Asio loop for each Backend, on a thread of its own or of the
// application.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <sched.h>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "base/logger.hpp"
#include "base/memory_holder.hpp"
#include "base/release_pool.hpp"
#include "continuity/port_keeper.hpp"
#include "protocol/handler_memory.hpp"

namespace vhostx::backend {

/// A port, as its loop sees it.
class LoopPort {
 public:
  /// The loop ends: closes the port.
  virtual void loop_ends() = 0;
  /// See Backend::take_over().
  virtual void get_ready() noexcept = 0;
  virtual void ask_owner() noexcept = 0;
  /// Whether a burst that nobody waits for any more (VringCore::is_stuck()) is inside one of the vrings. After it was
  /// closed the loop keeps the port for as long.
  virtual bool is_in_use() noexcept = 0;
  /// The loop's own: its list of ports that it keeps needs no memory.
  std::shared_ptr<LoopPort> next_kept;

 protected:
  ~LoopPort() = default;
};

/// What belongs to no port and ends after all of them, as its loop sees it. Control thread.
class LoopState {
 public:
  virtual ~LoopState() = default;
  /// All ports are closed.
  virtual void loop_ends() noexcept = 0;
  /// See Backend::take_over().
  virtual void ask_owner() noexcept = 0;
  /// This process serves what it has taken over for good.
  virtual void confirm_take_over() noexcept = 0;
};

class ControlLoop {
 public:
  /// Errors: system (no thread), invalid_argument (BackendOptions::control_cpus).
  static Result<std::shared_ptr<ControlLoop>> create(const BackendOptions& options);
  ControlLoop(const BackendOptions& options, const cpu_set_t& cpus);
  ~ControlLoop();
  ControlLoop(const ControlLoop&) = delete;
  ControlLoop& operator=(const ControlLoop&) = delete;

  /// Closes the ports that are still there and ends the thread. Not on the control thread (asserted).
  void shut_down();

  asio::any_io_executor executor() noexcept { return io_.get_executor(); }
  const Logger& log() const noexcept { return log_; }

  /// Who holds the connections of ports beyond this process; makes nothing where nobody does.
  using KeeperMaker = std::function<Result<std::unique_ptr<continuity::PortKeeper>>(const std::string& bundle)>;
  const KeeperMaker& keepers() const noexcept { return keepers_; }
  /// Before the first port.
  void set_keepers(KeeperMaker maker) { keepers_ = std::move(maker); }
  /// If this process is killed, another one that waits for its connections gets them at once. Before the first port.
  void hold_memory();
  std::chrono::milliseconds keeper_grace() const noexcept { return keeper_grace_; }
  /// As describe_process(), which is asked once a second at most: one process takes over all ports.
  std::string describe_peer(int pid);
  KeeperClaim keeper_claim() const noexcept { return keeper_claim_; }

  /// The threads that close descriptors and unmap memory of peers.
  const std::shared_ptr<ReleasePool>& release_pool() const noexcept { return release_pool_; }

  /// See Backend::take_over(). Control thread.
  void take_over() noexcept;

  /// Runs `work` on the control thread and returns when it is done: at once when this is that thread, when the
  /// application runs the loop, or after shut_down().
  void post_and_wait(const std::function<void()>& work);

  /// See Backend::run_control.
  std::size_t run_for(std::chrono::milliseconds wait) noexcept;

  /// The ports to close at shut_down(). Control thread.
  void add(const std::shared_ptr<LoopPort>& port);
  void remove(const LoopPort& port) noexcept;
  /// Keeps a closed port in which a burst still runs until the burst has ended, for good if it never does. Control
  /// thread.
  void keep(std::shared_ptr<LoopPort> port) noexcept;

  /// At most one, before the first port. Control thread.
  void set_state(std::unique_ptr<LoopState> state) noexcept { state_ = std::move(state); }
  void confirm_take_over() noexcept {
    if (state_ != nullptr) state_->confirm_take_over();
  }

  /// While an event is delivered no other one is.
  void set_delivering(bool delivering) noexcept { delivering_ = delivering; }
  bool delivering() const noexcept { return delivering_; }

 private:
  Result<void> start_thread();
  void run_thread() noexcept;
  void close_ports();
  bool runs_here() const noexcept;
  struct Errand;
  bool post(Errand& errand);
  void reserve_timers();
  void release_kept() noexcept;

  const ControlThread mode_;
  Logger log_;
  KeeperMaker keepers_;
  MemoryHolder memory_holder_;
  const std::chrono::milliseconds keeper_grace_;
  const KeeperClaim keeper_claim_;
  int described_pid_ = 0;
  std::chrono::steady_clock::time_point described_until_{};
  std::string description_;
  const cpu_set_t cpus_;  // of all threads of the library's own
  const std::shared_ptr<ReleasePool> release_pool_ = std::make_shared<ReleasePool>(cpus_);
  protocol::HandlerMemory<1> last_work_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unordered_map<const LoopPort*, std::weak_ptr<LoopPort>> ports_;
  std::unique_ptr<LoopState> state_;
  std::shared_ptr<LoopPort> kept_;  // the first; each points to the next
  bool delivering_ = false;

  std::mutex lock_;  // stopped_: post() against the end of the thread
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace vhostx::backend
