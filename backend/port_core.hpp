// SPDX-License-Identifier: BSD-3-Clause
// PortCore: the implementation of a public Port: its vrings, its socket, the current connection, its events.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <asio/any_io_executor.hpp>

#include <vhostx/events.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/connector.hpp"
#include "backend/connection/listener.hpp"
#include "backend/connection/session.hpp"
#include "backend/loop/control_loop.hpp"
#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "backend/notice_board.hpp"
#include "backend/placement_watch.hpp"
#include "backend/ring/vring_core.hpp"
#include "base/event_fd.hpp"
#include "base/logger.hpp"
#include "base/releases.hpp"
#include "memory/first_touch.hpp"

namespace vhostx::backend {

class PortCore : public std::enable_shared_from_this<PortCore> {
 public:
  /// Errors: invalid_argument (an option), system (no fd, no memory). Any thread.
  static Result<std::shared_ptr<PortCore>> create(std::shared_ptr<ControlLoop> loop, PortOptions options,
                                                  EventHandler on_event);
  PortCore(std::shared_ptr<ControlLoop> loop, PortOptions options, EventHandler on_event,
           std::shared_ptr<const EventFd> attention);
  ~PortCore();
  PortCore(const PortCore&) = delete;
  PortCore& operator=(const PortCore&) = delete;

  const PortOptions& options() const noexcept { return options_; }
  std::uint16_t vring_count() const noexcept { return static_cast<std::uint16_t>(vrings_.size()); }
  VringCore& vring(std::uint16_t index) noexcept { return *vrings_[index]; }
  ControlLoop& loop() noexcept { return *loop_; }
  PortInfo info() const;
  /// A vring was asked for that there is not: the control thread logs the first one.
  void missed_vring(std::uint32_t index) noexcept;
  /// Pairs whose vrings are both ready, enabled and not broken.
  std::uint16_t queue_pairs_up() const noexcept;
  PortStats stats() const noexcept;
  std::vector<RegionPlacement> memory_placement() const;
  /// The Port that events name; before open().
  void set_handle(Port& handle) noexcept { handle_ = &handle; }

  // ---- control thread ----
  Result<void> open();
  enum class Farewell {
    events,  ///< The application hears of what stops.
    silent,  ///< The application closes or destroys the Port: it needs no events.
  };
  void close(Farewell farewell);
  /// Ends the connection of the moment; whether there was one. Listening or connecting goes on.
  bool disconnect() noexcept;
  /// After close(), before this is released: waits for the bursts in progress. The loop keeps the core where one does
  /// not end.
  void drain() noexcept;
  /// Whether a burst that nobody waits for any more (VringCore::is_stuck()) is inside one of the vrings. After close()
  /// the loop keeps the core for as long.
  bool is_in_use() noexcept;
  std::shared_ptr<PortCore>& next_kept() noexcept { return next_kept_; }

  asio::any_io_executor executor() { return loop_->executor(); }
  const Logger& log() const noexcept { return log_; }
  /// Signalled when a vring (VringCore::Attention) or lost memory needs the control thread.
  const std::shared_ptr<const EventFd>& attention() const noexcept { return attention_; }
  /// Whether so much of this port's waits to be released that its front-end has to wait as well.
  bool is_crowded() const noexcept { return releases_->pending() > pending_max(); }
  std::uint32_t pending_max() const noexcept;
  bool logs_messages() const noexcept { return loop_->debugs(); }
  /// Of all front-ends of this port.
  const std::shared_ptr<SlowSignals>& signals() const noexcept { return signals_; }
  /// PortOptions::memory_bytes_max, or what it is by default on this machine.
  std::uint64_t memory_bytes_max() const noexcept { return memory_bytes_max_; }
  /// Of all front-ends of this port; null where nothing is counted.
  const std::shared_ptr<memory::TouchBudget>& touch_budget() const noexcept { return touch_budget_; }

  /// Queues an event; `keep` lives until it has been delivered.
  void emit(PortEvent event, std::shared_ptr<const void> keep) noexcept;
  /// What info() and memory_placement() answer from now on.
  void publish_info() noexcept;
  /// The session took a message: what it emitted is delivered. The session may be gone afterwards.
  void turn_done() noexcept;
  /// `change`, then turn_done(), for what happens outside of messages.
  void run_turn(const std::function<void()>& change) noexcept;
  /// Stops the vrings and drops the session, with which the call may come. Where loans are out it lingers for them.
  void end_session(Error reason) noexcept;
  /// A session that lingered has its loans back, or has waited long enough, or has to make room.
  void finish_session() noexcept;
  /// A ring started, or memory changed.
  void placement_due() { placement_watch_.due(); }
  /// Looks at the rings that run, and delivers what has changed.
  void look_at_placement(VringPlacer::Effort effort);
  /// After something that loans may outlive.
  void look_after_loans();
  /// DmaMemory of a new table. Null: mbufs keep too many older ones alive, or there is no memory.
  std::shared_ptr<const zerocopy::DmaMemory> map_for_devices(std::shared_ptr<const memory::GuestMemory> memory,
                                                             const zerocopy::DmaMemory* before) noexcept;

 private:
  struct Queued {
    PortEvent event;
    std::shared_ptr<const void> keep;
  };

  Result<void> make_vrings();
  Result<std::unique_ptr<Listener>> listen();
  void take_socket(UniqueFd socket) noexcept;
  void report_no_connection(Error error) noexcept;
  void keep_error(const std::string& text) noexcept;  // PortInfo::last_error
  bool make_room();
  bool may_bring_more();
  void watch_attention();
  void attend();
  void report_misuse();
  void report_bad_pools();
  void report_missed_vring();
  void serve_signals();
  void drop_session() noexcept;
  void publish_notice() noexcept;
  void publish_memory(std::shared_ptr<const memory::GuestMemory> memory) noexcept;
  void deliver() noexcept;
  void call_handler(const PortEvent& event) noexcept;

  const std::shared_ptr<ControlLoop> loop_;
  const PortOptions options_;
  const std::uint64_t memory_bytes_max_;
  const std::shared_ptr<memory::TouchBudget> touch_budget_;
  Logger log_;
  EventHandler handler_;
  Port* handle_ = nullptr;
  const std::shared_ptr<const EventFd> attention_;  // data threads write it; memory that outlives the port holds it
  const std::shared_ptr<SlowSignals> signals_;
  const std::shared_ptr<Releases> releases_;  // of all that this port's peers bring
  std::vector<std::unique_ptr<VringCore>> vrings_;
  std::unique_ptr<FdWatch> attention_watch_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<Session> session_;
  std::optional<Error> farewell_;  // why the session ends that lingers
  OneShotTimer loan_timer_;
  PlacementWatch placement_watch_;
  std::vector<std::weak_ptr<const zerocopy::DmaMemory>> mapped_;  // tables that this port made and that live
  std::vector<Queued> events_;  // with room for what usually waits, so that no event is lost where memory is
  std::size_t delivered_ = 0;   // of them
  std::uint64_t connections_ = 0;
  int front_end_pid_ = 0;                // of the last connection; 0: not known
  std::unique_ptr<NoticeBoard> notice_;  // null: nobody can look into this port from outside
  bool closed_ = false;
  std::atomic<std::uint64_t> missed_vring_{0};  // index and 1
  bool missed_vring_reported_ = false;
  std::shared_ptr<PortCore> next_kept_;  // ControlLoop's list

  mutable std::mutex info_lock_;  // info() and memory_placement() against the control thread
  PortInfo info_;
  std::shared_ptr<const memory::GuestMemory> published_memory_;
};

}  // namespace vhostx::backend
