// SPDX-License-Identifier: BSD-3-Clause
// UniqueFd: one owner for one file descriptor.
#pragma once

#include <unistd.h>
#include <utility>

#include "base/releases.hpp"

namespace vhostx {

/// Closes its descriptor. A descriptor that a peer sent is handed over and closed on another thread: its close() may
/// take any time (base/releases.hpp). The ticket moves with the descriptor.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(int fd, ReleaseTicket ticket) noexcept : fd_(fd), ticket_(std::move(ticket)) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.fd_), ticket_(std::move(other.ticket_)) { other.fd_ = -1; }
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this == &other) return *this;
    reset(std::exchange(other.fd_, -1));
    ticket_ = std::move(other.ticket_);
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// The caller must close it. Not used for descriptors of a peer.
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0 && ticket_)
      ticket_.close(fd_);
    else if (fd_ >= 0)
      ::close(fd_);
    fd_ = fd;
  }
  /// Where this descriptor, and all that comes through it, is released; null: closed by the owner.
  Releases* releases() const noexcept { return ticket_.releases(); }

 private:
  int fd_ = -1;
  ReleaseTicket ticket_;
};

}  // namespace vhostx
