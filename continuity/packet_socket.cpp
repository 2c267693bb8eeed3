// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/packet_socket.hpp"

#include <cassert>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/error.hpp"
#include "continuity/keeper_protocol.hpp"

namespace vhostx::continuity {
namespace {

// The kernel's SCM_MAX_FD. Without room for all, the kernel would close the others inside recvmsg(), which may take as
// long as the sender likes.
constexpr std::size_t fds_of_a_packet_max = 253;

template <std::size_t Fds>
struct alignas(cmsghdr) Control {
  std::byte bytes[CMSG_SPACE(sizeof(int) * Fds)];
};

void collect(msghdr& message, std::vector<UniqueFd>& fds, Releases* releases) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.push_back(UniqueFd(fd, releases == nullptr ? ReleaseTicket() : releases->ticket()));
    }
  }
}

ssize_t receive_once(int socket, msghdr& message, std::size_t control_bytes) noexcept {
  ssize_t got = 0;
  do {
    message.msg_controllen = control_bytes;
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}

}  // namespace

Arrival receive_packet(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Releases* releases) {
  fds.reserve(fds.size() + fds_of_a_packet_max);  // nothing that arrives is lost for want of memory
  Control<fds_of_a_packet_max> control;
  iovec piece{into.data(), into.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  auto got = receive_once(socket, message, sizeof control.bytes);
  if (got < 0 && errno == ECONNRESET) got = receive_once(socket, message, sizeof control.bytes);
  if (got < 0) return {0, errno};
  collect(message, fds, releases);
  return {static_cast<std::size_t>(got), 0, (message.msg_flags & MSG_TRUNC) != 0,
          (message.msg_flags & MSG_CTRUNC) != 0};
}

int send_packet(int socket, std::span<const std::byte> packet, std::span<const int> fds) noexcept {
  assert(fds.size() <= granted_fds_max);
  Control<granted_fds_max> control;
  iovec piece{const_cast<std::byte*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    std::memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

Result<UniqueFd> make_packet_socket() {
  UniqueFd made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return make_system_error(errno, "making a Unix socket");
  return made;
}

int connect_to_path(int socket, const std::string& path) noexcept {
  sockaddr_un address{};
  assert(path.size() < sizeof address.sun_path);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  int done = 0;
  do {
    done = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (done != 0 && errno == EINTR);
  return done == 0 ? 0 : errno;
}

}  // namespace vhostx::continuity
