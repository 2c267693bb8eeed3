// SPDX-License-Identifier: BSD-3-Clause
// recvmsg and sendmsg for one who passes things on: with as many descriptors as the kernel lets one message have, not
// only as many as the specification does. Never block.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"

namespace vhostx::tools::probe {

inline constexpr std::size_t relay_fds_max = 253;  ///< The kernel's SCM_MAX_FD.

struct RelayTransfer {
  std::size_t bytes = 0;  ///< 0 without an error, when receiving: the peer has closed its end.
  int error = 0;          ///< errno, or 0. EAGAIN: not now.
  bool fds_lost = false;  ///< Receiving: this process has no free descriptor for some.
};

/// Appends the descriptors (close-on-exec) to `fds`. `into` not empty.
RelayTransfer relay_receive(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds);

/// `bytes` not empty; `fds`, at most relay_fds_max, stay the caller's. Raises no SIGPIPE.
RelayTransfer relay_transmit(int socket, std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds);

}  // namespace vhostx::tools::probe
