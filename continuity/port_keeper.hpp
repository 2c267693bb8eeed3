// SPDX-License-Identifier: BSD-3-Clause
// PortKeeper: who holds a port's descriptors beyond the end of the process that serves it.
#pragma once

#include <chrono>
#include <map>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "continuity/session_state.hpp"

namespace vhostx::continuity {

/// One port's bundle at its keeper. Control thread. Each call is bounded in time; after an error none works any more.
class PortKeeper {
 public:
  using Files = std::map<Slot, UniqueFd>;

  virtual ~PortKeeper() = default;
  PortKeeper() = default;
  PortKeeper(const PortKeeper&) = delete;
  PortKeeper& operator=(const PortKeeper&) = delete;

  /// This process owns the bundle from now on, until it ends or parks it. What is in it. Errors: busy (another process
  /// that lives owns it: the message names it), closed, timed_out.
  virtual Result<Files> claim() = 0;
  /// Keeps a duplicate of `fd` in place of what was in that slot, if the process ends right after the call, too.
  virtual Result<void> hold(Slot slot, int fd) = 0;
  virtual Result<void> drop(Slot slot) = 0;
  /// Another process may claim it now; where none does within `grace`, its descriptors are closed.
  virtual Result<void> park(std::chrono::milliseconds grace) = 0;
};

}  // namespace vhostx::continuity
