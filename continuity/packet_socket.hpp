// SPDX-License-Identifier: BSD-3-Clause
// Packets with descriptors over a Unix SOCK_SEQPACKET socket. No call waits.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::continuity {

struct Arrival {
  std::size_t bytes = 0;  ///< 0 with no error: the other end is closed, and all that it sent was received.
  int error = 0;          ///< errno, or 0. EAGAIN: nothing is there. Never EINTR.
  bool cut_off = false;   ///< The packet was longer than `into`.
  bool fds_lost = false;  ///< This process has no room for a descriptor; those that did arrive are in the list.
};

/// One packet. Descriptors are close-on-exec and added to `fds`, to be released through `releases`, or directly if that
/// is null. A peer that has gone with unread packets makes the kernel report ECONNRESET once, before what it sent: that
/// is passed over.
Arrival receive_packet(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds, Releases* releases = nullptr);

/// One packet with descriptors (at most granted_fds_max, asserted), which the caller keeps. Returns errno, or 0;
/// EAGAIN: the other end has not read enough. Raises no SIGPIPE.
int send_packet(int socket, std::span<const std::byte> packet, std::span<const int> fds) noexcept;

/// A new socket, close-on-exec and non-blocking. Error: system.
Result<UniqueFd> make_packet_socket();

/// connect() to a path of at most 107 bytes (asserted); errno, or 0. EAGAIN: the listener's queue is full.
int connect_to_path(int socket, const std::string& path) noexcept;

}  // namespace vhostx::continuity
