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

// ---- features_part.cpp

Html features_part(const ConnectionData& connection);

// ---- state_parts.cpp: the state at its fullest

Html memory_part(const ConnectionData& connection);
Html rings_part(const ConnectionData& connection);

}  // namespace vhostx::tools::probe
