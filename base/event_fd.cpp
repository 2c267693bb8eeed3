// SPDX-License-Identifier: BSD-3-Clause
#include "base/event_fd.hpp"

#include <cassert>
#include <cstdint>
#include <fcntl.h>

#include <sys/eventfd.h>

#include "base/error.hpp"
#include "base/file_kind.hpp"
#include "base/peer_signals.hpp"

namespace vhostx {

Result<EventFd> EventFd::create() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return make_system_error(errno, "eventfd");
  return EventFd(std::move(fd));
}

Result<EventFd> EventFd::adopt(UniqueFd fd, const char* what, std::shared_ptr<SlowSignals> signals) {
  const FileKind kind = file_kind(fd.get());
  if (kind != FileKind::event_fd) return protocol_violation("{} is a {}, expected an eventfd", what, to_string(kind));
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0)
    return make_system_error(errno, "fcntl on {}", what);
  return EventFd(std::make_shared<PeerEvent>(std::move(fd), std::move(signals)));
}

void EventFd::signal() const noexcept {
  if (peers_ != nullptr) {
    if (peers_->signals != nullptr) return peers_->signals->signal(*peers_);
    return signal_peer(peers_->fd.get());
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);
}

bool EventFd::drain() const noexcept {
  assert(peers_ == nullptr);
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count && count != 0;
}

}  // namespace vhostx
