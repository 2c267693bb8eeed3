// SPDX-License-Identifier: BSD-3-Clause
// How fuzz_session reads its input, beside how seeds are written, so that the two cannot part: a row of records
// {what, how, length, bytes}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vhostx::fuzz {

/// `what` is a request's number, or one of these.
inline constexpr std::uint8_t record_kick = 0xff;      ///< The driver kicks.
inline constexpr std::uint8_t record_data = 0xfe;      ///< A data thread has a burst on each ring.
inline constexpr std::uint8_t record_memory = 0xfd;    ///< bytes: offset u16, then what is written there.
inline constexpr std::uint8_t record_log_size = 0xfc;  ///< bytes: u16, the new size of the file of FdKind::log.
/// The state that was saved last goes where the next one is loaded from. bytes: offset u16, then what is written there.
inline constexpr std::uint8_t record_state = 0xfb;

/// `how` of a message: NEED_REPLY, and the descriptors that come with it.
inline constexpr std::uint8_t how_need_reply = 1;
enum class FdKind : std::uint8_t {
  none,
  event_fd,
  event_fd_blocking,
  memory,
  memory_sealed,  // cannot shrink, cannot grow
  memory_small,   // less than what it is said to hold
  memory_read_only,
  pipe,
  socket,
  directory,
  device,  // /dev/null
  epoll,
  log,  // with SET_LOG_BASE; else as memory
};
inline constexpr unsigned how_kind_shift = 1;   // 4 bits
inline constexpr unsigned how_count_shift = 5;  // 3 bits

constexpr std::uint8_t how(bool need_reply, FdKind kind = FdKind::none, std::uint8_t count = 0) {
  return static_cast<std::uint8_t>((need_reply ? how_need_reply : 0) | static_cast<unsigned>(kind) << how_kind_shift |
                                   static_cast<unsigned>(count) << how_count_shift);
}

/// The guest's memory: one file.
inline constexpr std::size_t memory_bytes = 65536;
/// Enough for guest memory up to 2 GiB.
inline constexpr std::size_t log_bytes = 65536;

inline void add_record(std::vector<std::byte>& input, std::uint8_t what, std::uint8_t how_bits,
                       std::span<const std::byte> bytes = {}) {
  input.push_back(static_cast<std::byte>(what));
  input.push_back(static_cast<std::byte>(how_bits));
  input.push_back(static_cast<std::byte>(bytes.size() & 0xff));
  input.push_back(static_cast<std::byte>(bytes.size() >> 8));
  input.insert(input.end(), bytes.begin(), bytes.end());
}

}  // namespace vhostx::fuzz
