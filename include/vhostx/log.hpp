// SPDX-License-Identifier: BSD-3-Clause
// Where log lines go. There is no global sink: each Backend has the one that its options name.
#pragma once

#include <functional>
#include <string_view>

namespace vhostx {

/// How much a line of the log matters.
enum class LogLevel {
  debug,    ///< Each message of each peer.
  info,     ///< What happens in the life of a connection.
  warning,  ///< A peer did something wrong, or something is not as it could be.
  error,    ///< Something does not work.
};

/// Name of a level as it stands in logs, e.g. "warning".
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

/// Takes one line without its newline. Called on the control thread, and on the thread that makes or ends a Backend;
/// never on the data path, with no library lock held. What front-ends of one port cause is at most 50 lines a second,
/// and 200 at once: how many more there were is said. An empty sink is silence. Exceptions that leave it are swallowed.
using LogSink = std::function<void(LogLevel, std::string_view line)>;

}  // namespace vhostx
