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

// Room for all descriptors that a message can have.
struct alignas(cmsghdr) Control {
  std::byte bytes[CMSG_SPACE(sizeof(int) * fds_of_a_message_max)];
};

// MSG_DONTWAIT for each call: another holder of a socket that a peer sent could switch O_NONBLOCK off.
int flags_of(Blocking blocking) noexcept { return blocking == Blocking::no ? MSG_DONTWAIT : 0; }

// Calls take(int) for each descriptor that came.
template <typename Take>
void collect(msghdr& message, Take take) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      take(fd);
    }
  }
}

void attach(msghdr& message, Control& control, std::span<const UniqueFd> fds) noexcept {
  if (fds.empty()) return;
  const std::size_t bytes = fds.size() * sizeof(int);
  std::memset(&control, 0, CMSG_SPACE(bytes));
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(bytes);
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(bytes);
  for (std::size_t i = 0; i < fds.size(); ++i) {
    const int fd = fds[i].get();
    std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
  }
}

// Calls take(int) for each descriptor that came. fds_lost: the kernel set MSG_CTRUNC.
template <typename Take>
Transfer receive_with(int socket, std::span<std::byte> into, Blocking blocking, Take take) {
  Control control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  ssize_t got = 0;
  do {
    message.msg_controllen = sizeof control.bytes;
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags_of(blocking));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {0, errno, false};
  collect(message, take);
  return {static_cast<std::size_t>(got), 0, (message.msg_flags & MSG_CTRUNC) != 0};
}

}  // namespace

Transfer receive(int socket, std::span<std::byte> into, FdList& fds, Blocking blocking, Releases* releases) noexcept {
  bool lost = false;
  bool slow = false;
  Transfer got = receive_with(socket, into, blocking, [&](int number) {
    // Without memory for a ticket the descriptor is closed here.
    UniqueFd fd(number, releases == nullptr ? ReleaseTicket() : releases->ticket());
    if (!answers_at_once(number))
      slow = true;
    else if (!fds.add(std::move(fd)))
      lost = true;
  });
  got.fds_lost |= lost;
  got.fds_slow = slow;
  return got;
}

Transfer receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Blocking blocking) {
  return receive_with(socket, into, blocking, [&fds](int fd) { fds.push_back(UniqueFd(fd)); });
}

Transfer transmit(int socket, std::span<const std::byte> bytes, std::span<const UniqueFd> fds,
                  Blocking blocking) noexcept {
  Control control;
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  attach(message, control, fds);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | flags_of(blocking));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return {0, errno, false};
  return {static_cast<std::size_t>(sent), 0, false};
}

}  // namespace vhostx::protocol
