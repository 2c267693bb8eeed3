// SPDX-License-Identifier: BSD-3-Clause
// Statistics in place on a terminal, as top(1) shows its own.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// A full screen: rates since `before`, totals, drops by cause in that interval and since the start, and the last
/// `notes` (events and log lines) in the room that is left. At most `size.rows` lines without a final newline, none
/// longer than the screen is wide. Pure.
std::string text_screen(const Snapshot& now, const Snapshot& before, const std::deque<std::string>& notes,
                        ScreenSize size);

}  // namespace vhostx::tools
