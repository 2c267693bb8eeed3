// SPDX-License-Identifier: BSD-3-Clause
// Runs checks one after the other.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/check_options.hpp"

namespace vhostx::tools::probe {

struct CheckResult {
  const Check* check = nullptr;
  Verdict verdict;
  std::chrono::microseconds took{};
};

struct CheckReport {
  Subject subject;
  std::vector<CheckResult> results;

  std::size_t count(Outcome outcome) const noexcept;
};

/// Those that the options name, in order.
std::vector<const Check*> select(const Checks& checks, const CheckOptions& options);

/// One check; whatever it meets is in the verdict. Throws BackEndGone.
Verdict run_check(const Check& check, const Subject& subject);

/// All of them. After the back-end is gone the rest are not tried: that is said once. `on_result` is called after each.
CheckReport run_checks(const Subject& subject, const std::vector<const Check*>& checks,
                       const std::function<void(const CheckResult&)>& on_result);

}  // namespace vhostx::tools::probe
