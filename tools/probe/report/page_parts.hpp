// SPDX-License-Identifier: BSD-3-Clause
// The sections of the page. Pure.
#pragma once

#include <string>

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/report_data.hpp"

namespace vhostx::tools::probe {

// ---- findings.cpp

/// One sentence: how bad it is.
std::string verdict_of(const ReportData& data);
Html findings_part(const ReportData& data);

// ---- summary.cpp

Html summary_part(const ReportData& data);
Html connection_facts(const ConnectionData& connection);

// ---- overview.cpp

/// With more connections than this each is closed at first, and those to show can be chosen.
inline constexpr std::size_t connections_open_max = 3;
bool is_long(const ReportData& data) noexcept;
/// A row for each connection; nothing where there is one.
Html overview_part(const ReportData& data);
/// What the style sheet chooses by, each with a blank before it.
std::string classes_of(const ConnectionData& connection);
/// What is seen of one that is closed, beside its number.
Html line_of(const ConnectionData& connection);
/// Links to the connections before and after, and to the table.
Html neighbours_of(const ReportData& data, std::size_t index);

// ---- features_part.cpp

Html features_part(const ConnectionData& connection);

// ---- state_parts.cpp: the state at its fullest

Html memory_part(const ConnectionData& connection);
Html rings_part(const ConnectionData& connection);

}  // namespace vhostx::tools::probe
