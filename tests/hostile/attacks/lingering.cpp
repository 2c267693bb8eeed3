// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacks/lingering.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

#include <sys/socket.h>

namespace vhostx::hostile {

using namespace protocol;

namespace {

void must(bool done, const char* what) {
  if (!done) throw tools::probe::Decided{tools::probe::failed("{}: {}", what, std::strerror(errno))};
}

UniqueFd tcp_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  must(static_cast<bool>(fd), "a TCP socket");
  return fd;
}

/// The listener's port, on the loopback.
sockaddr_in listen_on_loopback(int listener) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  must(::bind(listener, any, length) == 0 && ::listen(listener, 1) == 0 && ::getsockname(listener, any, &length) == 0,
       "listening on the loopback");
  return address;
}

void fill(int socket) {
  const std::array<char, 65536> bytes{};
  while (::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
}

}  // namespace

LingeringSocket::LingeringSocket() : lingering_(tcp_socket()) {
  const UniqueFd listener = tcp_socket();
  const sockaddr_in address = listen_on_loopback(listener.get());
  must(::connect(lingering_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
       "connecting over the loopback");
  peer_ = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  must(static_cast<bool>(peer_), "accepting over the loopback");
  fill(lingering_.get());
  const linger wait{1, 1};  // a second: ten times what anybody else may notice
  must(::setsockopt(lingering_.get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0, "SO_LINGER");
}

UniqueFd full_file(std::size_t bytes) {
  UniqueFd file = memory_file(bytes);
  must(::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) == 0, "filling a file");
  return file;
}

SocketPair socket_pair(int type) {
  std::array<int, 2> ends{};
  must(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) == 0, "a socket pair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

bool send_with(int socket, const std::vector<std::byte>& bytes, std::vector<UniqueFd> fds) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(253 * sizeof(int))> control{};
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  iovec text{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(numbers.size() * sizeof(int));
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(numbers.size() * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), numbers.data(), numbers.size() * sizeof(int));
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

UniqueFd inside_a_socket(UniqueFd fd) {
  SocketPair pair = socket_pair(SOCK_STREAM);
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(fd));
  must(send_with(pair.one.get(), {std::byte{0}}, std::move(fds)), "queueing a descriptor");
  return std::move(pair.other);
}

void deliver(int socket, const Message& message, std::vector<UniqueFd> fds) {
  const auto text = encode(message);
  const auto middle = text.begin() + 5;
  must(send_with(socket, {text.begin(), middle}, std::move(fds)), "sending descriptors");
  static_cast<void>(::send(socket, text.data() + 5, text.size() - 5, MSG_NOSIGNAL));  // or it is closed already
}

void deliver(int socket, const Message& message, UniqueFd fd) {
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(fd));
  deliver(socket, message, std::move(fds));
}

unsigned send_until_full(int socket, const Message& message) {
  constexpr int it_has_stopped_ms = 200;
  const auto text = encode(message);
  for (unsigned sent = 0; sent < 100'000;) {
    if (::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
      ++sent;
      continue;
    }
    pollfd writable_again{socket, POLLOUT, 0};
    if (errno != EAGAIN || ::poll(&writable_again, 1, it_has_stopped_ms) == 0) return sent;
  }
  throw tools::probe::Decided{tools::probe::failed("100000 requests were taken from a peer that reads no answer")};
}

}  // namespace vhostx::hostile
