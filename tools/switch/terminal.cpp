// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/terminal.hpp"

#include <cstdlib>
#include <unistd.h>
#include <utility>

#include <sys/ioctl.h>

#include "tools/switch/log_sink.hpp"

namespace vhostx::tools {
namespace {

constexpr std::size_t notes_max = 200;
// The sequences of every terminal that is used today (xterm, the Linux console, screen, tmux).
constexpr std::string_view enter_screen = "\x1b[?1049h\x1b[?25l";  // the alternate screen, no cursor
constexpr std::string_view leave_screen = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view to_top = "\x1b[H";
constexpr std::string_view clear_line = "\x1b[K";
constexpr std::string_view clear_below = "\x1b[J";

ScreenSize size_of(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

}  // namespace

std::unique_ptr<Terminal> Terminal::open(int fd) {
  const char* const kind = std::getenv("TERM");
  if (kind == nullptr || std::string_view(kind).empty() || std::string_view(kind) == "dumb" || ::isatty(fd) == 0)
    return nullptr;
  auto terminal = std::make_unique<Terminal>(fd);
  return terminal->is_in_foreground() ? std::move(terminal) : nullptr;
}

bool Terminal::is_in_foreground() const noexcept {
  const pid_t group = ::tcgetpgrp(fd_);
  return group < 0 || group == ::getpgrp();  // below 0: it is not the terminal of our session
}

Terminal::Terminal(int fd) : fd_(fd), takes_log_(::isatty(STDERR_FILENO) != 0) {}

Terminal::~Terminal() {
  const auto right = leave();
  if (!right.empty() && ::write(fd_, right.data(), right.size()) < 0) return;  // nobody is there to see it
}

std::string Terminal::enter() {
  if (takes_log_ && !entered_) send_log_to([this](std::string_view line) { note(line); });
  entered_ = true;
  return std::string(enter_screen);
}

std::string Terminal::frame(const Snapshot& now, const Snapshot& before) const {
  const std::lock_guard guard(lock_);
  std::string text(to_top);
  for (const char letter : text_screen(now, before, notes_, size_of(fd_)))
    if (letter == '\n')
      text.append(clear_line).append("\n");
    else
      text += letter;
  return text.append(clear_line).append(clear_below);
}

std::string Terminal::leave() {
  if (!entered_) return {};
  if (takes_log_) send_log_to({});
  entered_ = false;
  return std::string(leave_screen);
}

std::string Terminal::notes() const {
  const std::lock_guard guard(lock_);
  std::string text;
  for (const auto& note : notes_) text += note + '\n';
  return text;
}

void Terminal::note(std::string_view text) {
  const std::lock_guard guard(lock_);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end != 0) notes_.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (notes_.size() > notes_max) notes_.pop_front();
  }
}

}  // namespace vhostx::tools
