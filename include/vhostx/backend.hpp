// SPDX-License-Identifier: BSD-3-Clause
// Backend: the control thread and the ports that it serves.
#pragma once

#include <chrono>
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

struct BackendOptions {
  ControlThread control_thread = ControlThread::own;
  LogSink log;                          ///< Empty: silence.
  LogLevel log_level = LogLevel::info;  ///< Lines below this level are not made.
};

/// Any number of Backends may live in one process. No globals.
class VHOSTX_EXPORT Backend {
 public:
  /// Errors: system (no thread, no fds), out_of_memory.
  static Result<std::unique_ptr<Backend>> create(BackendOptions options = {}) noexcept;

  explicit Backend(std::shared_ptr<backend::ControlLoop> loop) noexcept;
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
