// SPDX-License-Identifier: BSD-3-Clause
// recvmsg and sendmsg as vhost-user needs them: descriptors are owned from the moment they arrive.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "protocol/fd_list.hpp"

namespace vhostx::protocol {

struct Transfer {
  std::size_t bytes = 0;  ///< 0 with no error, when receiving: the peer has closed its end.
  int error = 0;          ///< errno, or 0. EAGAIN: nothing to do now. Never EINTR.
  bool fds_lost = false;  ///< Receiving: more than fds_max came, or this process has no free descriptor. Those that
                          ///< did arrive are in the list.
  bool fds_slow =
      false;  ///< Receiving: one was a file that may block us (base/file_system.hpp); it is not in the list.
};

enum class Blocking : bool { no, yes };

/// Receives bytes and descriptors (close-on-exec) from a Unix stream socket. Descriptors are added to `fds`, to be
/// released through `releases`, or directly if that is null. `into` must not be empty.
///
/// Receives all descriptors that a message can have; those that do not fit into `fds` are released in the same way.
/// Otherwise the kernel would close them inside recvmsg(), which may take as long as the peer likes. (It still does if
/// this process is at its limit of descriptors.)
Transfer receive(int socket, std::span<std::byte> into, FdList& fds, Blocking blocking,
                 Releases* releases = nullptr) noexcept;

/// Sends `bytes`, which must not be empty, with all of `fds` (at most fds_of_a_message_max), which the caller keeps.
/// Raises no SIGPIPE.
Transfer transmit(int socket, std::span<const std::byte> bytes, std::span<const UniqueFd> fds,
                  Blocking blocking) noexcept;

/// The kernel's SCM_MAX_FD: how many descriptors one message can have at all.
inline constexpr std::size_t fds_of_a_message_max = 253;

/// Receives for a relay, which also passes on what the specification forbids: up to fds_of_a_message_max descriptors.
Transfer receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Blocking blocking);

}  // namespace vhostx::protocol
