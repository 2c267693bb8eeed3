// SPDX-License-Identifier: BSD-3-Clause
// PortNotice: where a process says which rings a port of its has, for `vhostx-probe rings`. Each port has one, in a
// mapping of its own that /proc/PID/maps shows by name; who may read /proc/PID/mem reads it there. Nothing is shared:
// the mapping is private, so a forked child that closes its copy of a port changes nothing.
#pragma once

#include <array>
#include <cstdint>

namespace vhostx {

/// As memfd_create(2) is given it; /proc/PID/maps has "/memfd:vhostx-port (deleted)".
inline constexpr const char* port_notice_name = "vhostx-port";
inline constexpr std::uint64_t port_notice_magic = 0x54524f5058545348;  // "HSTXPORT"
inline constexpr std::uint32_t port_notice_version = 3;                 ///< Another one: another layout.
inline constexpr std::uint32_t port_notice_vrings_max = 256;

/// One vring. Addresses are the process's own; 0 while the vring is stopped.
struct VringNotice {
  std::uint64_t descriptors = 0;
  std::uint64_t avail = 0;
  std::uint64_t used = 0;
  std::uint32_t size = 0;  ///< Descriptors; 0: not set.
  std::uint8_t started = 0;
  std::uint8_t enabled = 0;
  std::uint8_t waits_for_kick = 0;  ///< All is there that it needs to start, but the driver's first kick.
  std::uint8_t logged = 0;          ///< VHOST_VRING_F_LOG: writes to the used ring are logged.
  std::uint64_t log = 0;            ///< Then: the guest address where; else 0.
  std::array<char, 32> fault{};     ///< The driver broke it, and how: "bad_next"; empty: it did not. Ends with a 0.
  std::uint64_t packets = 0;        ///< Where the number of packets is that were moved since the process began (u64).
};

/// The begin of the mapping; `vrings` entries of VringNotice follow.
struct PortNotice {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t vrings = 0;
  std::uint32_t sequence = 0;   ///< Odd while it is written. Read it before and after: the same even number, or again.
  std::uint32_t connected = 0;  ///< 1: a front-end is connected.
  std::uint64_t features = 0;   ///< Negotiated virtio features.
  /// The dirty log of a guest that migrates (SET_LOG_BASE): its address in this process, its bytes, where it begins in
  /// its file. All 0: there is none.
  std::uint64_t log = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t log_offset = 0;
  std::int32_t front_end_pid = 0;  ///< 0: not known.
  std::uint32_t reserved = 0;
  std::array<char, 112> socket_path{};  ///< PortOptions::socket_path. Ends with a 0.
};

static_assert(sizeof(VringNotice) == 80 && sizeof(PortNotice) == 176);

}  // namespace vhostx
