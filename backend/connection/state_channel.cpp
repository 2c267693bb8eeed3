// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/state_channel.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>

#include <sys/uio.h>

#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"
#include "protocol/socket_io.hpp"

namespace vhostx::backend {
namespace {

using Moved = StateChannel::Moved;

/// A pipe that nobody reads any more raises SIGPIPE, which ends a process that does not expect it.
class SigpipeBlocked {
 public:
  SigpipeBlocked() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeBlocked() {
    constexpr timespec at_once{};
    if (!was_pending_)
      while (::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

// A kernel before 6.4 does not know RWF_NOWAIT for pipes: there O_NONBLOCK has to do, which another holder can undo.
template <typename Call>
Moved without_waiting(int fd, Call call) noexcept {
  ssize_t moved = 0;
  do {
    moved = call(RWF_NOWAIT);
    if (moved < 0 && errno == EOPNOTSUPP) {
      const int flags = ::fcntl(fd, F_GETFL);
      if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return {0, errno};
      moved = call(0);
    }
  } while (moved < 0 && errno == EINTR);
  if (moved < 0) return {0, errno};
  return {static_cast<std::size_t>(moved), 0};
}

template <typename Call>
Moved without_interruption(Call call) noexcept {
  ssize_t moved = 0;
  do {
    moved = call();
  } while (moved < 0 && errno == EINTR);
  if (moved < 0) return {0, errno};
  return {static_cast<std::size_t>(moved), 0};
}

Result<void> check_kind(int fd, FileKind kind) {
  if (kind == FileKind::socket) return check_connected_stream(fd);
  if (kind == FileKind::pipe || kind == FileKind::regular) return {};
  return protocol_violation("the descriptor is a {}, expected a pipe, a socket or a file", to_string(kind));
}

}  // namespace

Result<StateChannel> StateChannel::adopt(UniqueFd fd, For use) {
  const FileKind kind = file_kind(fd.get());
  if (auto good = check_kind(fd.get(), kind); !good) return std::move(good).error();
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0) return make_system_error(errno, "fcntl");
  const int access = flags & O_ACCMODE;
  if ((flags & O_PATH) != 0 || (access != O_RDWR && access != (use == For::reading ? O_RDONLY : O_WRONLY)))
    return protocol_violation("the {} cannot be {}", to_string(kind), use == For::reading ? "read" : "written");
  return StateChannel(std::move(fd), kind);
}

// What a socket brings beside bytes is closed elsewhere: it may take long.
Moved StateChannel::read(std::span<std::byte> into, std::size_t offset) const noexcept {
  if (is_file())
    return without_interruption([&] { return ::pread(fd(), into.data(), into.size(), static_cast<off_t>(offset)); });
  if (kind_ == FileKind::socket) {
    protocol::FdList unwanted;
    const auto got = protocol::receive(fd(), into, unwanted, protocol::Blocking::no, fd_.releases());
    return {got.bytes, got.error};
  }
  const iovec piece{into.data(), into.size()};
  return without_waiting(fd(), [&](int flags) { return ::preadv2(fd(), &piece, 1, -1, flags); });
}

Moved StateChannel::write(std::span<const std::byte> bytes, std::size_t offset) const noexcept {
  if (is_file())
    return without_interruption([&] { return ::pwrite(fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
  if (kind_ == FileKind::socket) {
    const auto sent = protocol::transmit(fd(), bytes, {}, protocol::Blocking::no);
    return {sent.bytes, sent.error};
  }
  const SigpipeBlocked blocked;
  const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  return without_waiting(fd(), [&](int flags) { return ::pwritev2(fd(), &piece, 1, -1, flags); });
}

}  // namespace vhostx::backend
