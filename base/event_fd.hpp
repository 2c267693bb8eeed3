// SPDX-License-Identifier: BSD-3-Clause
// EventFd: an eventfd that never holds up who signals it.
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
  /// Takes a descriptor that a peer sent, and holds too. Only an eventfd is taken: a pipe could raise SIGPIPE. It is
  /// set non-blocking, which the peer can undo: see peer_signals.hpp. `what` names it in the error. `signals` are those
  /// of the port that it belongs to: see slow_signals.hpp. Null: whoever signals takes the time that it takes.
  static Result<EventFd> adopt(UniqueFd fd, const char* what, std::shared_ptr<SlowSignals> signals = {});

  int get() const noexcept { return peers_ != nullptr ? peers_->fd.get() : fd_.get(); }
  explicit operator bool() const noexcept { return get() >= 0; }

  /// Adds 1, unless the counter is at its maximum: the other side is signalled then.
  void signal() const noexcept;
  /// Takes the counter down to 0. True: it was not 0. Only of an own one: a peer could let the read wait.
  bool drain() const noexcept;

 private:
  explicit EventFd(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  explicit EventFd(std::shared_ptr<PeerEvent> peers) noexcept : peers_(std::move(peers)) {}

  UniqueFd fd_;                       // our own
  std::shared_ptr<PeerEvent> peers_;  // or one that was adopted
};

}  // namespace vhostx
