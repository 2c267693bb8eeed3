// SPDX-License-Identifier: BSD-3-Clause
// Terminal: the screen that statistics are shown on in place, and what is told meanwhile.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tools/switch/report_screen.hpp"

namespace vhostx::tools {

/// Uses the terminal's alternate screen, so that what stood there comes back. It writes nothing itself, but where it
/// ends without leave(): then it sets the terminal right. While it lives, the log goes to its notes if standard error
/// is a terminal too.
class Terminal {
 public:
  /// Null: `fd` is no terminal, or one that does not understand this (TERM is unset or "dumb"), or the shell's alone
  /// now.
  static std::unique_ptr<Terminal> open(int fd);

  explicit Terminal(int fd);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Not after `bg`, nor with `&`: then the screen is the shell's.
  bool is_in_foreground() const noexcept;

  /// What to write before the first frame.
  std::string enter();
  /// What to write to show this, for the size that the terminal has now.
  std::string frame(const Snapshot& now, const Snapshot& before) const;
  /// What to write to set the terminal right.
  std::string leave();
  /// What was told and is still known, a line each, for the screen that comes back.
  std::string notes() const;

  /// Keeps the lines to be shown; the oldest of many are forgotten. Any thread.
  void note(std::string_view text);

 private:
  const int fd_;
  const bool takes_log_;
  bool entered_ = false;
  mutable std::mutex lock_;
  std::deque<std::string> notes_;  // under lock_
};

}  // namespace vhostx::tools
