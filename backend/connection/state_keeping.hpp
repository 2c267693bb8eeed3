// SPDX-License-Identifier: BSD-3-Clause
// StateKeeping: what the application knows of a guest (PortOptions::save_state) is kept with the guest's connection.
#pragma once

#include <optional>

#include <asio/any_io_executor.hpp>

#include <vhostx/result.hpp>

#include "backend/connection/port_host.hpp"
#include "backend/connection/session_keeping.hpp"
#include "backend/connection/state_record.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "continuity/state_file.hpp"

namespace vhostx::backend {

/// In the file are the bytes of a StateRecord. It is a convenience: where it cannot be written or read the log says so,
/// and the connection goes on. Control thread; both arguments outlive this.
class StateKeeping {
 public:
  StateKeeping(asio::any_io_executor executor, const PortParts& parts, SessionKeeping& keeping);

  /// A front-end has connected. The file is at the keeper from now on.
  void begin() noexcept;
  /// The connection of another process is this one's: load_state() gets what that has kept. No ring runs yet.
  void load() noexcept;
  /// After load() and once its rings run: what changes from now on is kept. Until then the file of before is.
  void go_on() noexcept { start_timer(); }
  /// Another process is to go on with the connection; its rings have stopped. Keeps all that the application knows.
  void leave() noexcept;
  /// The connection is over.
  void end() noexcept;

 private:
  using Bytes = StateRecord::Bytes;

  void start_timer() noexcept;
  void save() noexcept;
  Result<void> try_save();
  Result<void> try_load();

  const PortParts& parts_;
  SessionKeeping& keeping_;
  OneShotTimer timer_;
  bool is_served_ = false;                     // what the application knows is of this connection
  bool failed_ = false;                        // the last save(), which the log says
  std::optional<continuity::StateFile> file_;  // at the keeper; none: what is there is of a process before, or nothing
  std::optional<Bytes> kept_;                  // in file_
};

}  // namespace vhostx::backend
