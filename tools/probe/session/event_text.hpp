// SPDX-License-Identifier: BSD-3-Clause
// Events for people.
#pragma once

#include <string>

#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// Whether to use a terminal's colours, and what for.
struct TextStyle {
  bool colours = false;

  const char* violation() const noexcept { return colours ? "\x1b[1;31m" : ""; }
  const char* remark() const noexcept { return colours ? "\x1b[33m" : ""; }
  const char* faint() const noexcept { return colours ? "\x1b[2m" : ""; }
  const char* strong() const noexcept { return colours ? "\x1b[1m" : ""; }
  const char* plain() const noexcept { return colours ? "\x1b[0m" : ""; }
};

/// Colours where standard output is a terminal and NO_COLOR (no-color.org) is not set.
TextStyle style_of_output();

/// What a terminal could take for a command becomes "?": names of files and programs are a peer's to choose.
std::string printable(std::string text);

/// One line, and one more for each finding:
///
///     0.001234 #1    12 >  SET_MEM_TABLE regions 1 [...] descriptors 1: memfd pc.ram, 256 MiB, pages of 4 KiB
///     0.001301 #1    13 <  SET_MEM_TABLE reply success (to 12 after 67 us)
///                       ! violation: what and what was expected [section]
///
/// ">" goes to the back-end, "<" to the front-end; ">>" and "<<" are the same on the back-end's own channel.
std::string text_of(const Event& event, const Decoded& decoded, const TextStyle& style);

/// "67 us", "1.5 ms", "2.25 s"
std::string text_of(std::chrono::nanoseconds time);

}  // namespace vhostx::tools::probe
