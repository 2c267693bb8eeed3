// SPDX-License-Identifier: BSD-3-Clause
// The dirty log of a connection at one moment: where it is, and how many pages are marked in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/probe/rings/guest_memory.hpp"
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

/// Longer logs, of more than 2 TiB of guest memory, are not counted.
inline constexpr std::uint64_t counted_log_bytes_max = std::uint64_t{64} << 20;

struct LogRow {
  std::uint32_t connection = 0;
  bool on = false;                      ///< VHOST_F_LOG_ALL
  std::optional<std::uint64_t> size;    ///< Bytes. None: where it is is not known.
  std::optional<std::uint64_t> offset;  ///< In its file.
  /// Pages that are marked and that the front-end has not taken away yet.
  std::optional<std::uint64_t> marked_pages;
};

/// None: there is nothing of a log. `log`: its bytes, from address 0 on; null: they cannot be read.
std::optional<LogRow> sample_log(const ConnectionFacts& connection, const GuestMemory* log);

/// "on, 256 KiB at offset 0x0, 37 pages marked"
std::string text_of(const LogRow& log);

}  // namespace vhostx::tools::probe
