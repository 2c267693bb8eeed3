// SPDX-License-Identifier: BSD-3-Clause
// The page: one file that asks for nothing, runs nothing, and can be printed. Pure.
#pragma once

#include <string>

#include "tools/probe/report/report_data.hpp"

namespace vhostx::tools::probe {

std::string html_of(const ReportData& data);

}  // namespace vhostx::tools::probe
