// SPDX-License-Identifier: BSD-3-Clause
// EventFd: an eventfd that never blocks.
#pragma once

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx {

class EventFd {
 public:
  EventFd() noexcept = default;

  /// A new one, close-on-exec and non-blocking.
  static Result<EventFd> create();
  /// Takes a descriptor that a peer sent. Only an eventfd is taken, and it is set non-blocking: a pipe could raise
  /// SIGPIPE, and a full blocking eventfd would hold up a data thread. `what` names it in the error.
  static Result<EventFd> adopt(UniqueFd fd, const char* what);

  int get() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

  /// Adds 1. EAGAIN means that the counter is at its maximum, so that the other side is signalled already.
  void signal() const noexcept;
  /// Takes the counter down to 0. True: it was not 0.
  bool drain() const noexcept;

 private:
  explicit EventFd(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace vhostx
