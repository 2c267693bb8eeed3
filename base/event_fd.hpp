// SPDX-License-Identifier: BSD-3-Clause
// EventFd: an eventfd whose signal() does not block.
#pragma once

#include <memory>
#include <utility>

#include <vhostx/result.hpp>

#include "base/slow_signals.hpp"
#include "base/unique_fd.hpp"

namespace vhostx {

class EventFd {
 public:
  EventFd() noexcept = default;

  /// A new one, close-on-exec and non-blocking.
  static Result<EventFd> create();
  /// Takes a descriptor that a peer sent; the peer holds it too. Only an eventfd is accepted: a pipe could raise
  /// SIGPIPE. It is set non-blocking, which the peer can undo: see peer_signals.hpp. `what` names it in the error.
  /// `signals` belongs to the same port: see slow_signals.hpp. Null: signal() takes as long as the kernel does.
  static Result<EventFd> adopt(UniqueFd fd, const char* what, std::shared_ptr<SlowSignals> signals = {});

  int get() const noexcept { return peers_ != nullptr ? peers_->fd.get() : fd_.get(); }
  explicit operator bool() const noexcept { return get() >= 0; }

  /// Adds 1 to the counter, unless it is at its maximum: then the other side has been signalled already.
  void signal() const noexcept;
  /// Resets the counter to 0. True: it was not 0. Only for our own eventfd: a peer could make the read block.
  bool drain() const noexcept;

 private:
  explicit EventFd(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  explicit EventFd(std::shared_ptr<PeerEvent> peers) noexcept : peers_(std::move(peers)) {}

  UniqueFd fd_;                       // our own
  std::shared_ptr<PeerEvent> peers_;  // or one that was adopted
};

}  // namespace vhostx
