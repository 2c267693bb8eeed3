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
      false;  ///< Receiving: one was a file that may let us wait (base/file_system.hpp); it is not in the list.
};

enum class Blocking : bool { no, yes };

/// Bytes and descriptors (close-on-exec) from a Unix stream socket; the latter are added to `fds`, to be released by
/// `releases`, or here where it is null. `into` not empty.
///
/// All that a message can have are taken, and those that find no place are released too: what the kernel closes inside
/// of recvmsg(), for want of room, may take as long as the peer likes. (It still does where this process is at its
/// limit of descriptors.)
Transfer receive(int socket, std::span<std::byte> into, FdList& fds, Blocking blocking,
                 Releases* releases = nullptr) noexcept;

/// `bytes` not empty, with all of `fds`, which stay the caller's. Raises no SIGPIPE.
Transfer transmit(int socket, std::span<const std::byte> bytes, const FdList& fds, Blocking blocking) noexcept;

/// The kernel's SCM_MAX_FD: how many descriptors one message can have at all.
inline constexpr std::size_t fds_of_a_message_max = 253;

/// The same for one who passes on what the specification forbids: up to fds_of_a_message_max descriptors.
Transfer receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Blocking blocking);
Transfer transmit(int socket, std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds,
                  Blocking blocking) noexcept;

}  // namespace vhostx::protocol
