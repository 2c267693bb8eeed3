// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <cstdio>

#include "tools/common/paths.hpp"
#include "tools/probe/check/check_options.hpp"
#include "tools/probe/check/check_report.hpp"
#include "tools/probe/check/runner.hpp"
#include "tools/probe/exit_code.hpp"
#include "tools/probe/session/event_text.hpp"
#include "tools/probe/socket_users.hpp"

namespace vhostx::tools::probe {
namespace {

int end_of(bool good) { return static_cast<int>(std::fflush(stdout) == 0 && good ? ExitCode::good : ExitCode::failed); }

std::optional<bool> device_of(const CheckOptions& options) {
  if (options.device == "guess") return std::nullopt;
  return options.device == "net";
}

bool replaces_report(const CheckOptions& options) { return options.junit && *options.junit == "-"; }

void show(const CheckOptions& options, const CheckResult& result, std::size_t number, bool colours) {
  if (options.json || replaces_report(options)) return;
  const std::string line = options.tap ? tap_line(result, number) : text_line(result, colours);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

bool write_junit(const std::string& file, const std::string& text) {
  std::FILE* const out = std::fopen(file.c_str(), "w");
  if (out == nullptr) return false;
  const bool written = std::fputs(text.c_str(), out) >= 0;
  return std::fclose(out) == 0 && written;
}

/// False: a file could not be written.
bool conclude(const CheckOptions& options, const CheckReport& report) {
  if (replaces_report(options)) {
    std::fputs(junit_of(report).c_str(), stdout);
    return true;
  }
  if (options.json)
    std::fputs(json_of(report).c_str(), stdout);
  else if (!options.tap)
    std::fputs(summary_line(report).c_str(), stdout);
  return !options.junit || write_junit(*options.junit, junit_of(report));
}

int run_selected(const CheckOptions& options, const Subject& subject, const std::vector<const Check*>& checks) {
  if (options.tap && !replaces_report(options)) std::fputs(tap_plan(checks.size()).c_str(), stdout);
  const bool colours = style_of_output().colours;
  std::size_t number = 0;
  const auto report =
      run_checks(subject, checks, [&](const CheckResult& result) { show(options, result, ++number, colours); });
  if (!conclude(options, report)) return fail(*options.junit, "cannot be written: " + why_not(*options.junit, errno));
  return end_of(report.count(Outcome::failed) == 0);
}

}  // namespace

int run_check(const CheckOptions& options) {
  const auto checks = select(all_checks(), options);
  if (checks.empty()) return fail("check", "no check has that name; --list shows all", ExitCode::usage);
  if (options.list) {
    std::fputs((options.json ? list_json_of(checks) : list_of(checks)).c_str(), stdout);
    return end_of(true);
  }
  for (const auto& path : {options.path, options.second})
    if (!options.force && !path.empty() && in_use(path)) return fail(path, in_use_text, ExitCode::in_use);
  Subject subject{.path = options.path, .second = options.second, .timeout = options.timeout};
  if (const auto known = explore(subject, device_of(options)); !known) return fail(options.path, known.error().message);
  return run_selected(options, subject, checks);
}

}  // namespace vhostx::tools::probe
