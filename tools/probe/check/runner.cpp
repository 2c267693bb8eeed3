// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/runner.hpp"

#include <algorithm>
#include <exception>
#include <fnmatch.h>

namespace vhostx::tools::probe {
namespace {

using Clock = std::chrono::steady_clock;

bool named(const Check& check, const CheckOptions& options) {
  if (options.gentle && check.group() == bad_input_group) return false;
  const auto matches = [&](const std::string& glob) { return ::fnmatch(glob.c_str(), check.id.c_str(), 0) == 0; };
  if (!options.only.empty() && std::none_of(options.only.begin(), options.only.end(), matches)) return false;
  const auto& groups = options.groups;
  return groups.empty() || std::find(groups.begin(), groups.end(), check.group()) != groups.end();
}

}  // namespace

std::size_t CheckReport::count(Outcome outcome) const noexcept {
  return static_cast<std::size_t>(std::count_if(
      results.begin(), results.end(), [outcome](const CheckResult& one) { return one.verdict.outcome == outcome; }));
}

std::vector<const Check*> select(const Checks& checks, const CheckOptions& options) {
  std::vector<const Check*> selected;
  for (const Check& check : checks)
    if (named(check, options)) selected.push_back(&check);
  return selected;
}

Verdict run_check(const Check& check, const Subject& subject) try {
  return check.run(subject);
} catch (const Decided& decided) {
  return decided.verdict;
} catch (const std::exception& error) {
  return failed("{}", error.what());
}

CheckReport run_checks(const Subject& subject, const std::vector<const Check*>& checks,
                       const std::function<void(const CheckResult&)>& on_result) {
  CheckReport report{.subject = subject};
  std::string gone;
  for (const Check* check : checks) {
    const auto begun = Clock::now();
    CheckResult result{.check = check, .verdict = {Outcome::not_tried, gone}};
    try {
      if (gone.empty()) result.verdict = run_check(*check, subject);
    } catch (const BackEndGone& end) {
      gone = end.why;
      result.verdict = failed("{}", gone);
    }
    result.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun);
    report.results.push_back(result);
    on_result(report.results.back());
  }
  return report;
}

}  // namespace vhostx::tools::probe
