// SPDX-License-Identifier: BSD-3-Clause
// Backend: the control thread and the ports that it serves.
#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/export.hpp>
#include <vhostx/log.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx {

namespace backend {
class ControlLoop;
}
namespace continuity {
class KeeperService;
}

/// Which thread runs the control side: messages, timers, events.
enum class ControlThread {
  own,          ///< The library starts a thread, named vhostx-control. It blocks signals other than faults and runs on
                ///< BackendOptions::control_cpus.
  application,  ///< The application calls Backend::run_control() repeatedly, always from the same thread.
};

/// Which code handles SIGBUS. The kernel raises it on an access to guest memory that its owner has taken away.
enum class BusErrors {
  handle,       ///< The library, from the first Backend to the end of the process. It passes signals that are not about
                ///< guest memory to the previous action. If the application has a handler, install it before.
  application,  ///< The application, whose handler calls recover_from_bus_error().
};

/// For an application's own SIGBUS handler (SA_SIGINFO). Returns true if the fault was about guest memory: then return
/// from the handler; the control thread ends the connection that the memory belongs to. Async-signal-safe. Any thread.
VHOSTX_EXPORT bool recover_from_bus_error(const siginfo_t& info) noexcept;

/// What open_port() does with a port that another process serves, by the word of the keeper. The ports that wait tell
/// how it goes by OwnershipChanged.
enum class KeeperClaim {
  if_free,    ///< It fails: busy.
  stand_by,   ///< The port waits until that process ends, is killed, or closes the port. See Backend::take_over().
  take_over,  ///< The same, and that process is asked to hand the port over now. See Port::confirm_take_over().
};

/// Bytes of the application that belong to no port, which a keeper holds for the next process: a configuration, a
/// table. The functions are called on the control thread (within Backend::create() and ~Backend(), too), and all ports
/// of the Backend wait meanwhile. They must not destroy the Backend. What they throw is logged.
struct KeptState {
  /// Under which name the keeper holds them, 1 to 100 bytes without a zero byte: the same in each process that is to
  /// have them, another one for each Backend at that keeper. It is no socket path, and may be that of a port: in lists
  /// of the keeper an '@' is before it, with which no port's path begins. (In systemd's store, where characters other
  /// than letters and digits take more room, it may have to be shorter.) Empty: none; save and load must not be set.
  std::string name{};
  /// Returns the bytes, at most bytes_max. Called each `interval` while this process owns them, right before it yields
  /// them to another one, and when the Backend is destroyed, after its ports are closed (not with a keeper_grace of 0).
  /// Where it fails, what was kept before stays.
  std::function<std::vector<std::byte>()> save{};
  /// What the process before has kept, once for each time that this process comes to own it: within Backend::create(),
  /// or with KeeperClaim::stand_by and take_over as soon as the other process has ended or yielded it. Not called if
  /// nothing was kept, or where it is damaged or larger than bytes_max: the log says so. The bytes are whole and
  /// unchanged, but their writer may be another version, and whoever may use the keeper can forge them. An error is
  /// logged: then nothing may have been loaded.
  std::function<Result<void>(std::span<const std::byte>)> load{};
  std::uint32_t bytes_max = std::uint32_t{1} << 20;  ///< Most bytes, 0 to 16 MiB.
  std::chrono::milliseconds interval{1000};  ///< Interval at which save() is called and the bytes kept if they have
                                             ///< changed, 10 ms to 24 h. A process that is killed leaves what it kept
                                             ///< last. 0: they are kept only when they are left in order.
  /// Optional: who owns the bytes, as OwnershipChanged tells it of a port. `standing_by`: another process does.
  /// `serving`: this one does now, and load() was called if there was something to load. `yielding`: another one takes
  /// them over, and save() is called next for the last time: what the application learns from now on goes to nobody,
  /// unless the other process ends first. `handed_over`: that process has them for good, by its
  /// Port::confirm_take_over(). Not called where create() finds them free.
  std::function<void(const OwnershipChanged&)> on_ownership{};
};

/// Options for a backend.
struct BackendOptions {
  ControlThread control_thread = ControlThread::own;  ///< Which thread runs the control side.
  LogSink log{};                                      ///< Receives log lines. Empty: no log.
  LogLevel log_level = LogLevel::info;                ///< Lines below this level are not produced.
  BusErrors bus_errors = BusErrors::handle;           ///< Which code handles SIGBUS.
  /// CPUs on which the library's own threads run, by the kernel's numbers (0 to 1023). Empty: those of the thread that
  /// calls Backend::create(), without the CPUs of EAL's lcores; where none is left, those of the whole process without
  /// the lcores'; where none is left either, those of the calling thread. With ControlThread::application they are for
  /// the threads that close descriptors (vhostx-release) alone.
  std::vector<unsigned> control_cpus;
  /// Socket of a keeper (vhostx-keeper, at most 107 bytes), which holds the connections of all ports while no process
  /// serves them. A port that is opened with the name of one that is held goes on with its connection:
  /// FrontEndConnected::adopted. Empty: none, and connections end with the process. A port with zero_copy records what
  /// is lent, so that each buffer is given back once, also after a kill. Counters of vrings and PortInfo::connections
  /// go on.
  std::string keeper{};
  /// How long the keeper holds the connection of a port that was closed, or whose Backend was destroyed, for the next
  /// process; 0 to 24 hours. 0: not at all, a port that is closed closes its connection.
  std::chrono::milliseconds keeper_grace{30'000};
  /// What open_port() does with a port that another process serves.
  KeeperClaim keeper_claim = KeeperClaim::if_free;
  /// A keeper of another kind, in place of `keeper`: SystemdStore::keeper() of <vhostx/systemd.hpp> is one. Null: none.
  std::shared_ptr<continuity::KeeperService> keeper_service{};
  /// The application's bytes that belong to no port. Without a keeper nothing is kept. With a keeper it is one more
  /// client, as a port is. They are yielded as soon as another process asks for them: with KeeperClaim::take_over in
  /// its create(), and so before it can ask for ports. They are left for keeper_grace; with 0 not at all.
  KeptState state{};
};

/// The control thread and the ports that it serves. A process may have any number of Backends. They share only the
/// SIGBUS handler and up to 16 contexts for asynchronous I/O, which signal eventfds.
class VHOSTX_EXPORT Backend {
 public:
  /// Creates a Backend. EAL must be initialised. Errors: invalid_argument (EAL is not initialised, an option), system
  /// (no thread, no descriptors, no SIGBUS handler), out_of_memory; with BackendOptions::state also busy (a process
  /// that lives owns it, by the keeper's word), and those of the keeper, as for open_port(). If the process cannot have
  /// asynchronous I/O, a warning in the log says what a front-end can do then: see SECURITY.md. Any thread.
  static Result<std::unique_ptr<Backend>> create(BackendOptions options = {}) noexcept;

  /// Internal. create() creates a Backend.
  VHOSTX_HIDDEN explicit Backend(std::shared_ptr<backend::ControlLoop> loop) noexcept;
  /// Closes the ports that still exist, with their events. Destroy those Port objects afterwards, or before. Must not
  /// be called from an event handler (asserted). Threads: any other, but with ControlThread::application only the
  /// thread that runs the control side.
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// Opens a port and serves it at once. With BackendOptions::keeper or keeper_service it goes on with the connection
  /// that the keeper holds in this port's name; where what is left there does not fit the options, that connection is
  /// closed, and the front-end may come again. `on_event` may be empty. Events may be delivered before the call has
  /// returned.
  ///
  /// Errors: invalid_argument (an option out of range: the message has its name, value and range), busy (a process
  /// listens on that path, or the file is not a socket; a process that lives serves the port, by the keeper's word),
  /// system (the call that failed, with its errno and, for the socket file, the path), out_of_memory. In the client
  /// role a missing listener is not an error: the port tries again.
  ///
  /// Threads: any, but with ControlThread::application only the thread that runs the control side.
  Result<std::unique_ptr<Port>> open_port(PortOptions options, EventHandler on_event = {}) noexcept;

  /// Asks for BackendOptions::state and all ports that stand by (KeeperClaim::stand_by), at once: the processes that
  /// serve them hand them over as with KeeperClaim::take_over. What is opened first and asked for then leaves guests
  /// without service for the hand-over alone, and not while further ports are opened. OwnershipChanged tells how it
  /// goes. Without a port that stands by it does nothing. Threads: as open_port(), and not in an event handler.
  void take_over() noexcept;

  /// Sets the level below which lines are not produced, instead of BackendOptions::log_level. Any thread.
  void set_log_level(LogLevel level) noexcept;

  /// With ControlThread::application: runs the handlers that are due, at most 256; if none is, waits up to `wait` for
  /// one. Returns how many ran. With ControlThread::own, or in an event handler, it does nothing and returns 0.
  std::size_t run_control(std::chrono::milliseconds wait) noexcept;

 private:
  std::shared_ptr<backend::ControlLoop> loop_;
};

}  // namespace vhostx
