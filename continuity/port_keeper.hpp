// SPDX-License-Identifier: BSD-3-Clause
// PortKeeper: who holds a port's descriptors beyond the end of the process that serves it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <variant>

#include <vhostx/result.hpp>

#include "base/error.hpp"
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

  // ---- two processes at a time; a keeper that serves one after the other does without

  /// What a keeper says by itself. Process ids are 0 where they are not known here.
  struct Granted {
    Files files;
    bool as_prepared = false;  ///< It is what the last prepare() returned; `files` is empty.
  };
  /// The bundle that this process waits for does not hold any more what prepare() returned.
  struct Changed {};
  struct YieldAsked {
    std::uint32_t asker_pid = 0;
  };
  struct Settled {
    std::uint32_t owner_pid = 0;
  };
  struct Gone {
    Error error;
  };
  using Event = std::variant<Granted, YieldAsked, Settled, Changed, Gone>;

  /// Claims the bundle as soon as its owner ends or parks it: Granted. With `asks` the owner is asked to (YieldAsked).
  /// Error: unsupported, closed, timed_out.
  virtual Result<void> wait(bool asks) {
    static_cast<void>(asks);
    return make_error(ErrorCode::unsupported, "this keeper serves one process at a time");
  }
  /// What is in the bundle that this process waits for, to get ready with. Nothing: nothing waits, or there is no way
  /// to know.
  virtual Result<std::optional<Files>> prepare() { return std::optional<Files>(); }
  /// What waits without asking asks from now on. Nothing happens if nothing waits: it may have been granted.
  virtual Result<void> ask_owner() { return {}; }
  /// This process serves the port for good: whoever waits for the bundle is told (Settled).
  virtual Result<void> settle() { return {}; }
  /// The next event, if one is there. Events may have come in any other call: ask until there is none.
  virtual std::optional<Event> next_event() { return {}; }
  /// Whether some have come in another call: event_fd() may not be readable.
  virtual bool has_events() const noexcept { return false; }
  /// Readable when there may be events; negative: there never are.
  virtual int event_fd() const noexcept { return -1; }
};

}  // namespace vhostx::continuity
