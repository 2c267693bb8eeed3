// SPDX-License-Identifier: BSD-3-Clause
// Rows of a RingWatch for people and for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/probe/rings/ring_watch.hpp"
#include "tools/probe/session/event_text.hpp"

namespace vhostx::tools::probe {

/// A table for each connection; where there is no row, a line that says so.
std::string text_of_rings(const std::vector<RingRow>& rows, const TextStyle& style = {},
                          const std::vector<LogRow>& logs = {});

/// One object on one line; README.md of tools/probe/ has its keys. `source`: what is watched; `time`: since the begin.
std::string json_of_rings(const std::vector<RingRow>& rows, const std::string& source, ProbeTime time,
                          const std::vector<std::string>& remarks = {}, const std::vector<LogRow>& logs = {});

}  // namespace vhostx::tools::probe
