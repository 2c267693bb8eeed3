// SPDX-License-Identifier: BSD-3-Clause
// The two system calls and their ancillary data (unix(7), cmsg(3)).
#include "protocol/socket_io.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/file_system.hpp"

namespace vhostx::protocol {
namespace {

// Room for `most` descriptors and no more: the kernel closes the rest and says MSG_CTRUNC.
template <std::size_t most>
struct alignas(cmsghdr) Control {
  std::byte bytes[CMSG_SPACE(sizeof(int) * most)];
};

// MSG_DONTWAIT for each call: the other holder of a descriptor that a peer sent could switch O_NONBLOCK off.
int flags_of(Blocking blocking) noexcept { return blocking == Blocking::no ? MSG_DONTWAIT : 0; }

// keep(UniqueFd) is false where it has no room. True: all were kept.
template <typename Keep>
bool collect(msghdr& message, Keep keep) {
  bool kept = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      kept = keep(UniqueFd(fd)) && kept;
    }
  }
  return kept;
}

template <std::size_t most, typename FdAt>
void attach(msghdr& message, Control<most>& control, std::size_t count, FdAt fd_at) noexcept {
  if (count == 0) return;
  const std::size_t bytes = count * sizeof(int);
  std::memset(&control, 0, sizeof control);
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(bytes);
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = fd_at(i);
    std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
  }
}

template <std::size_t most, typename Keep>
Transfer receive_with(int socket, std::span<std::byte> into, Blocking blocking, Keep keep) {
  Control<most> control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  ssize_t got = 0;
  do {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags_of(blocking));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {0, errno, false};
  const bool kept = collect(message, keep);
  return {static_cast<std::size_t>(got), 0, !kept || (message.msg_flags & MSG_CTRUNC) != 0};
}

template <std::size_t most, typename FdAt>
Transfer transmit_with(int socket, std::span<const std::byte> bytes, std::size_t count, FdAt fd_at,
                       Blocking blocking) noexcept {
  Control<most> control;
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  attach(message, control, count, fd_at);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | flags_of(blocking));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {0, errno, false};
  return {static_cast<std::size_t>(sent), 0, false};
}

}  // namespace

Transfer receive(int socket, std::span<std::byte> into, FdList& fds, Blocking blocking) noexcept {
  bool slow = false;
  Transfer got = receive_with<fds_max>(socket, into, blocking, [&](UniqueFd fd) {
    if (answers_at_once(fd.get())) return fds.add(std::move(fd));
    close_aside(std::move(fd));
    return slow = true;
  });
  got.fds_slow = slow;
  return got;
}

Transfer receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Blocking blocking) {
  return receive_with<fds_of_a_message_max>(socket, into, blocking, [&fds](UniqueFd fd) {
    fds.push_back(std::move(fd));
    return true;
  });
}

Transfer transmit(int socket, std::span<const std::byte> bytes, const FdList& fds, Blocking blocking) noexcept {
  return transmit_with<fds_max>(
      socket, bytes, fds.size(), [&fds](std::size_t i) { return fds.get(i); }, blocking);
}

Transfer transmit(int socket, std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds,
                  Blocking blocking) noexcept {
  return transmit_with<fds_of_a_message_max>(
      socket, bytes, fds.size(), [&fds](std::size_t i) { return fds[i].get(); }, blocking);
}

}  // namespace vhostx::protocol
