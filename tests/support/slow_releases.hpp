// SPDX-License-Identifier: BSD-3-Clause
// Descriptors whose close() takes as long as a peer likes, and waiting for what is released on other threads.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>

#include <sys/socket.h>

#include "base/release_pool.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::test {

/// Until all that was handed over is released, or a few seconds are over: what comes after it says what is left.
inline void wait_for_releases() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (ReleasePool::pending_in_process() != 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
}

/// A TCP connection to ourselves whose other end takes nothing: the last close() of socket() returns when let_go() was
/// called, or after ten minutes, whichever is first.
class LingeringSocket {
 public:
  LingeringSocket() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    constexpr int few_bytes = 4096;  // there may be many of these
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &few_bytes, sizeof few_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener.get(), generic, length) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), generic, &length) != 0)
      throw std::runtime_error("no loopback socket");
    socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &few_bytes, sizeof few_bytes);
    if (::connect(socket_.get(), generic, length) != 0) throw std::runtime_error("no loopback connection");
    other_end_.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const linger ten_minutes{1, 600};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &ten_minutes, sizeof ten_minutes);
    fill();
  }

  /// Ours as well: close() waits in whoever has the last one.
  int get() const { return socket_.get(); }
  UniqueFd take() { return std::exchange(socket_, UniqueFd()); }
  void let_go() { other_end_.reset(); }

 private:
  void fill() {
    const std::array<std::byte, 65536> bytes{};
    while (::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    if (errno != EAGAIN) throw std::runtime_error("the loopback connection takes no data");
  }

  UniqueFd socket_;
  UniqueFd other_end_;  // ends first: ours waits for it
};

}  // namespace vhostx::test
