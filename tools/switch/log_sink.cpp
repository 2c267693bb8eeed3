// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/log_sink.hpp"

#include <cstdint>
#include <exception>
#include <mutex>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "tools/switch/log_level.hpp"

namespace vhostx::tools {
namespace {

// A pipe that says that it can be written to has room for a page.
constexpr std::size_t line_bytes_max = 4000;

/// One process has one standard error.
struct StandardError {
  std::mutex lock;
  std::uint64_t lost = 0;
  std::function<void(std::string_view)> instead;  ///< Of standard error.
};
StandardError sink;

bool has_room() noexcept {
  pollfd output{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) == 1 && output.revents == POLLOUT;
}

bool write_line(LogLevel level, std::string_view line) {
  std::string text = fmt::format("vhostx: {}: {}", to_string(level), line).substr(0, line_bytes_max);
  if (sink.instead) {
    sink.instead(text);
    return true;
  }
  text += '\n';
  return has_room() && ::write(STDERR_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

void log_line(LogLevel level, std::string_view line) noexcept try {
  if (level < log_level()) return;
  const std::lock_guard guard(sink.lock);
  if (sink.lost != 0 && write_line(LogLevel::warning, fmt::format("{} lines lost: nobody read them", sink.lost)))
    sink.lost = 0;
  if (sink.lost != 0 || !write_line(level, line)) ++sink.lost;
} catch (const std::exception&) {  // no memory for a line
}

void send_log_to(std::function<void(std::string_view)> take) {
  const std::lock_guard guard(sink.lock);
  sink.instead = std::move(take);
}

}  // namespace vhostx::tools
