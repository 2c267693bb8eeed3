// SPDX-License-Identifier: BSD-3-Clause
// Descriptors whose last close() takes long, and how they are sent so that the last one is the back-end's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

/// A TCP connection over the loopback, full of data that nobody reads, whose close() waits for it (SO_LINGER): until
/// this object ends, and 1 s at most.
class LingeringSocket {
 public:
  /// Throws Decided.
  LingeringSocket();

  /// Once: the only reference there is.
  UniqueFd take() { return std::move(lingering_); }

 private:
  UniqueFd lingering_;
  UniqueFd peer_;
};

/// A file all of whose pages are there.
UniqueFd full_file(std::size_t bytes);

struct SocketPair {
  UniqueFd one, other;
};
SocketPair socket_pair(int type);

/// The bytes with these descriptors, which are closed here before this returns. False: not all were taken.
bool send_with(int socket, const std::vector<std::byte>& bytes, std::vector<UniqueFd> fds);
/// A socket in whose queue the descriptor waits; nobody has the other end.
UniqueFd inside_a_socket(UniqueFd fd);

/// Sends the message so that the back-end has the last reference when it reads its end: descriptors with the first
/// bytes, the others once they are closed here.
void deliver(int socket, const protocol::Message& message, std::vector<UniqueFd> fds);
void deliver(int socket, const protocol::Message& message, UniqueFd fd);

/// Sends until the back-end takes no more: it has stopped reading from a peer that does not read. How many went.
/// Throws Decided where it does not stop.
unsigned send_until_full(int socket, const protocol::Message& message);

}  // namespace vhostx::hostile
