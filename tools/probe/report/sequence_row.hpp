// SPDX-License-Identifier: BSD-3-Clause
// One row of the sequence chart.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/report_data.hpp"

namespace vhostx::tools::probe {

/// Which rows there are, and which of them answers which.
struct Links {
  explicit Links(const ConnectionData& connection);

  /// A link to the row of this message, or `text` alone where it has none.
  Html link(std::uint64_t number, const std::string& text) const;

  std::uint32_t connection;
  std::unordered_set<std::uint64_t> shown;                   ///< Numbers.
  std::unordered_map<std::uint64_t, const Step*> answer_to;  ///< By the number of the request.
};

std::string run_anchor_of(std::uint32_t connection, const Run& run);

Html step_row(const Links& links, const Step& step);
/// A run in one row, which opens on `rows`.
Html folded_row(std::uint32_t connection, const Run& run, const Html& rows);
Html pause_row(std::chrono::nanoseconds pause);

/// "✖ violation: text (section)".
Html finding_line(const Finding& finding);

}  // namespace vhostx::tools::probe
