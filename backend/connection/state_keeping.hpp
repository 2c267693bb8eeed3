// SPDX-License-Identifier: BSD-3-Clause
// StateKeeping: an application's bytes are kept in a bundle: those of a guest with its connection
// (PortOptions::save_state), or those of a back-end (BackendOptions::state).
#pragma once

#include <cstddef>
#include <optional>

#include <asio/any_io_executor.hpp>

#include <vhostx/backend.hpp>
#include <vhostx/result.hpp>

#include "backend/connection/keeper_link.hpp"
#include "backend/connection/state_record.hpp"
#include "backend/loop/one_shot_timer.hpp"
#include "base/logger.hpp"
#include "continuity/state_file.hpp"

namespace vhostx::backend {

/// In the file are the bytes of a StateRecord. It is a convenience: where it cannot be written or read the log says so,
/// and whoever it belongs to goes on. Control thread.
class StateKeeping {
 public:
  struct Parts {
    KeptState state;  ///< save and load are set.
    const char* who;  ///< For the log: goes on, though its state is lost.
    Logger log;
  };
  /// `link` outlives this.
  StateKeeping(asio::any_io_executor executor, Parts parts, KeeperLink& link);

  /// A front-end has connected. The file is at the keeper from now on.
  void begin() noexcept;
  /// What another process had is this one's: load() gets what that has kept. No ring of the connection runs yet.
  void load() noexcept;
  /// After load() and once its rings run: what changes from now on is kept. Until then the file of before is.
  void go_on() noexcept { start_timer(); }
  /// Another process is to go on; the rings of the connection have stopped. Keeps all that the application knows.
  void leave() noexcept;
  /// It is over.
  void end() noexcept;

 private:
  using Bytes = StateRecord::Bytes;

  void start_timer() noexcept;
  void save() noexcept;
  Result<void> try_save();
  Result<void> try_load();

  std::size_t record_bytes_max() const noexcept { return StateRecord::overhead_max + parts_.state.bytes_max; }

  const Parts parts_;
  KeeperLink& link_;
  OneShotTimer timer_;
  bool is_served_ = false;                     // what the application knows is of this time
  bool failed_ = false;                        // the last save(), which the log says
  std::optional<continuity::StateFile> file_;  // at the keeper; none: what is there is of a process before, or nothing
  std::optional<Bytes> kept_;                  // in file_
};

}  // namespace vhostx::backend
