// SPDX-License-Identifier: BSD-3-Clause
// Where log lines go. There is no global sink: each Backend has its own, from its options.
#pragma once

#include <functional>
#include <string_view>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Level of a log line.
enum class LogLevel {
  debug,    ///< Each message of each peer.
  info,     ///< Events in the life of a connection.
  warning,  ///< A peer made an error, or something is not at its best.
  error,    ///< Something does not work.
};

/// Name of a level in logs, e.g. "warning"; "unknown" for other values.
constexpr const char* to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

/// Receives one line, without a newline; `line` is valid during the call. Called on the control thread, and on the
/// thread that creates or destroys a Backend; never on the data path, and with no library lock held. Above debug level,
/// a port logs at most 50 lines per second and 200 at once; a line then reports how many were left out. An empty sink
/// logs nothing. The library catches exceptions that the sink throws.
using LogSink = std::function<void(LogLevel, std::string_view line)>;

}  // namespace vhostx
