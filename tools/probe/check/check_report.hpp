// SPDX-License-Identifier: BSD-3-Clause
// What the checks found, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "tools/probe/check/runner.hpp"

namespace vhostx::tools::probe {

/// One line a check: "passed  ring.starts-on-kick  ..."; nothing of one that was not tried. `colours`: with the
/// terminal's escapes.
std::string text_line(const CheckResult& result, bool colours);
/// "98 passed, 2 failed, 20 not applicable", and how many were not tried, if any, and why.
std::string summary_line(const CheckReport& report);

/// TAP version 13: the plan, and one line.
std::string tap_plan(std::size_t checks);
std::string tap_line(const CheckResult& result, std::size_t number);

/// JUnit: one <testsuite> a group; what does not apply is skipped.
std::string junit_of(const CheckReport& report);
/// One object on one line; README.md of tools/probe has its keys.
std::string json_of(const CheckReport& report);

/// --list: id, section and title of each.
std::string list_of(const std::vector<const Check*>& checks);
std::string list_json_of(const std::vector<const Check*>& checks);

}  // namespace vhostx::tools::probe
