// SPDX-License-Identifier: BSD-3-Clause
// Backend: the control thread and the ports that it serves.
#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>

#include <vhostx/events.hpp>
#include <vhostx/export.hpp>
#include <vhostx/log.hpp>
#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx {

namespace backend {
class ControlLoop;
}

/// Who runs the control side: messages, timers, events.
enum class ControlThread {
  own,          ///< The library starts one thread for it.
  application,  ///< The application calls Backend::run_control() again and again, from one thread.
};

/// Who handles SIGBUS, which an access to guest memory raises once its owner has taken it away.
enum class BusErrors {
  handle,  ///< The library, from the first Backend to the end of the process. What is not about guest memory goes to
           ///< the action that was in force before. An application's own handler must be installed earlier.
  application,  ///< The application has a handler, and calls recover_from_bus_error() in it.
};

/// For an application's own handler of SIGBUS (SA_SIGINFO). True: the fault was about guest memory, and the handler
/// should return; the connection that it belongs to is ended by the control thread. May be called in a signal handler.
VHOSTX_EXPORT bool recover_from_bus_error(const siginfo_t& info) noexcept;

/// How a Backend shall be.
struct BackendOptions {
  ControlThread control_thread = ControlThread::own;  ///< Who runs the control side.
  LogSink log;                                        ///< Empty: silence.
  LogLevel log_level = LogLevel::info;                ///< Lines below this level are not made.
  BusErrors bus_errors = BusErrors::handle;           ///< Who handles SIGBUS.
};

/// Any number of Backends may live in one process. They share no state but what is the process's: the handler of
/// SIGBUS, and up to 16 contexts for asynchronous I/O, by which eventfds are signalled.
class VHOSTX_EXPORT Backend {
 public:
  /// Errors: system (no thread, no fds), out_of_memory. Where the process may have no asynchronous I/O, a warning says
  /// what a front-end can do then: see SECURITY.md.
  static Result<std::unique_ptr<Backend>> create(BackendOptions options = {}) noexcept;

  /// The library's: create() makes a Backend.
  VHOSTX_HIDDEN explicit Backend(std::shared_ptr<backend::ControlLoop> loop) noexcept;
  /// Ports that still exist are closed; destroying them afterwards is allowed. Not from an event handler (asserted).
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// Opens a socket and serves it at once. `on_event` may be empty.
  /// Errors: invalid_argument (an option out of range: which, its value, its range), busy (somebody listens on that
  /// path, or it is no socket), system (errno of socket, bind or listen, with the path), out_of_memory. In the client
  /// role the absence of a listener is no error: it is tried again.
  /// Threads: any, but with ControlThread::application only the thread that runs the control side.
  Result<std::unique_ptr<Port>> open_port(PortOptions options, EventHandler on_event = {}) noexcept;

  /// With ControlThread::application: does what is due and waits up to `wait` for something to become due. Returns
  /// how many handlers ran. With ControlThread::own it does nothing and returns 0.
  std::size_t run_control(std::chrono::milliseconds wait) noexcept;

 private:
  std::shared_ptr<backend::ControlLoop> loop_;
};

}  // namespace vhostx
