// SPDX-License-Identifier: BSD-3-Clause
// EventFd: an eventfd that never holds up who signals it.
#pragma once

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx {

class EventFd {
 public:
  EventFd() noexcept = default;

  /// A new one, close-on-exec and non-blocking.
  static Result<EventFd> create();
  /// Takes a descriptor that a peer sent, and holds too. Only an eventfd is taken: a pipe could raise SIGPIPE. It is
  /// set non-blocking, which the peer can undo: see peer_signals.hpp. `what` names it in the error.
  static Result<EventFd> adopt(UniqueFd fd, const char* what);

  int get() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

  /// Adds 1, unless the counter is at its maximum: the other side is signalled then.
  void signal() const noexcept;
  /// Takes the counter down to 0. True: it was not 0. Only of an own one: a peer could let the read wait.
  bool drain() const noexcept;

 private:
  EventFd(UniqueFd fd, bool adopted) noexcept : fd_(std::move(fd)), adopted_(adopted) {}

  UniqueFd fd_;
  bool adopted_ = false;
};

}  // namespace vhostx
