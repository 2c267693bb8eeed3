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
#include "backend/connection/keeper_watch.hpp"
#include "backend/connection/listener.hpp"
#include "backend/connection/port_host.hpp"
#include "backend/connection/session.hpp"
#include "backend/connection/session_keeping.hpp"
#include "backend/connection/state_keeping.hpp"
#include "backend/loop/control_loop.hpp"
#include "backend/loop/fd_watch.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "backend/notice_board.hpp"
#include "backend/placement_watch.hpp"

namespace vhostx::backend {

class PortCore final : public std::enable_shared_from_this<PortCore>, public LoopPort, public PortHost {
 public:
  /// Errors: invalid_argument (an option), system (no fd, no memory). Any thread.
  static Result<std::shared_ptr<PortCore>> create(std::shared_ptr<ControlLoop> loop, PortOptions options,
                                                  EventHandler on_event);
  PortCore(std::shared_ptr<ControlLoop> loop, const PortOptions& options, EventHandler on_event,
           const std::shared_ptr<const EventFd>& attention);
  PortCore(const PortCore&) = delete;
  PortCore& operator=(const PortCore&) = delete;

  const PortOptions& options() const noexcept { return parts_.options; }
  std::uint16_t vring_count() const noexcept { return static_cast<std::uint16_t>(parts_.vrings.size()); }
  VringCore& vring(std::uint16_t index) noexcept { return *parts_.vrings[index]; }
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
  /// See Port::confirm_take_over().
  void confirm_take_over() noexcept;
  /// After close(), before this is released: waits for the bursts in progress. The loop keeps the core where one does
  /// not end.
  void drain() noexcept;
  /// Looks at the rings that run, and delivers what has changed.
  void look_at_placement(VringPlacer::Effort effort);

 private:
  void get_ready() noexcept override;
  void ask_owner() noexcept override;
  void loop_ends() override { close(Farewell::events); }
  bool is_in_use() noexcept override;

  void emit(PortEvent event, std::shared_ptr<const void> keep) noexcept override;
  void run_turn(const std::function<void()>& change) noexcept override;
  void placement_due() override { placement_watch_.due(); }
  asio::any_io_executor executor() noexcept override { return loop_->executor(); }
  const Logger& log() const noexcept override { return parts_.log; }
  void publish_info() noexcept override;
  void turn_done() noexcept override;
  void end_session(Error reason) noexcept override;
  void finish_session() noexcept override;
  void look_after_loans() override;
  std::shared_ptr<const zerocopy::DmaMemory> map_for_devices(std::shared_ptr<const memory::GuestMemory> memory,
                                                             const zerocopy::DmaMemory* before) noexcept override;

  struct Queued {
    PortEvent event;
    std::shared_ptr<const void> keep;
  };

  /// What this process would go on with if it got the port now.
  struct Prepared {
    std::unique_ptr<Session> session;  // dormant
    continuity::SessionState state;
    std::vector<Queued> events;
  };

  Result<void> make_vrings();
  void take_socket(UniqueFd socket) noexcept;
  Result<void> open_keeping();
  void make_state_keeping();
  Result<void> serve();
  Result<void> start_listening();
  bool go_on_listening();
  void drop_listener() noexcept;
  Result<std::unique_ptr<Listener>> make_listener();
  SocketAccess socket_access() const noexcept;
  Listener::Parts listener_parts();
  void begin_keeping(int socket);
  void open_counters();
  void prepare_counters();
  void count_connection() noexcept;
  bool start_session(UniqueFd socket) noexcept;
  void take_over(SessionKeeping::Found found) noexcept;
  Result<void> wake_or_set_up(std::optional<Prepared> prepared, const continuity::SessionState& state);
  void prepare() noexcept;
  std::optional<Prepared> try_to_prepare();
  void look_ahead_later() noexcept;
  void look_ahead() noexcept;
  void ahead_has_changed() noexcept;
  void wait() noexcept;
  void finish_taking_over() noexcept;
  void cannot_serve(const Error& error) noexcept;
  void load_kept_state();
  bool leaves_session() const noexcept;
  void leave_session(const std::string& why);
  void attend_keeper();
  void acquired();
  void stop_listening() noexcept;
  void yield_to(std::uint32_t pid);
  void settled_by(std::uint32_t pid);
  void report_no_connection(Error error) noexcept;
  void keep_error(const std::string& text) noexcept;  // PortInfo::last_error
  bool make_room();
  bool may_bring_more();
  void watch_attention();
  void attend();
  void report_misuse();
  void report_missed_vring();
  void serve_signals();
  void drop_session() noexcept;
  void publish_notice() noexcept;
  /// The one that was published before.
  std::shared_ptr<const memory::GuestMemory> swap_memory(std::shared_ptr<const memory::GuestMemory> memory) noexcept;
  void deliver() noexcept;
  void call_handler(const PortEvent& event) noexcept;

  const std::shared_ptr<ControlLoop> loop_;
  PortParts parts_;
  EventHandler handler_;
  Port* handle_ = nullptr;
  std::unique_ptr<FdWatch> attention_watch_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<SessionKeeping> keeping_;    // null: nobody keeps the connection
  std::optional<CounterPages> counters_;       // with keeping_
  std::optional<CounterPages> next_counters_;  // while this process waits
  std::unique_ptr<StateKeeping> state_;        // with keeping_ and save_state
  KeeperWatch keeper_watch_;
  bool is_waiting_ = false;    // for another process that serves the port
  bool yielded_ = false;       // to that process, and it has not said that it serves for good
  bool listens_late_ = false;  // a connection goes on; the listener comes when guests do not wait for it
  struct {
    std::unique_ptr<Session> session;
    std::shared_ptr<const memory::GuestMemory> memory;
  } left_;                            // to the process that has it now: let go of when guests do not wait for it
  std::optional<Prepared> prepared_;  // while it waits; before keeping_ ends
  std::unique_ptr<const continuity::SessionState> seen_ahead_;  // of which that is, or could not be, prepared
  bool stale_ = true;                                           // it is not what this process would get
  std::chrono::steady_clock::time_point prepared_at_{};
  std::chrono::milliseconds change_pause_{0};
  std::vector<Queued>* aside_ = nullptr;  // where events go while it is made
  OneShotTimer ahead_timer_;
  OneShotTimer late_timer_;
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

  mutable std::mutex info_lock_;  // info() and memory_placement() against the control thread
  PortInfo info_;
  std::shared_ptr<const memory::GuestMemory> published_memory_;
};

}  // namespace vhostx::backend
