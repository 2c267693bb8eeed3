// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/check_options.hpp"

#include <CLI/CLI.hpp>

#include "tools/probe/option_types.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* check_help =
    "Checks a back-end against the specification, as a front-end and a guest of it: each check has a connection of its "
    "own. Its rings move frames of ethertype 0x88b5";

constexpr const char* check_footer = R"(
Examples:
  vhostx-probe check --gentle /tmp/vm0.sock
  vhostx-probe check /tmp/vm0.sock --second /tmp/vm1.sock
  vhostx-probe check --only 'ring.*' --junit checks.xml /tmp/vm0.sock
  vhostx-probe check --list

Without --gentle a back-end that was not made for bad input may end: do not point it at one that guests depend on.)";

void add_choice(CLI::App& check, CheckOptions& options) {
  check.add_option("--only", options.only, "Checks whose id this pattern names, such as 'ring.*'; may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  check.add_option("--group", options.groups, "Checks of this group; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  check.add_flag("--list", options.list, "Lists the checks instead of running them");
  check.add_flag("--gentle", options.gentle,
                 "Sends nothing that the specification forbids: without the group bad-input");
}

void add_output(CLI::App& check, CheckOptions& options) {
  auto* tap = check.add_flag("--tap", options.tap, "TAP, version 13, instead of text");
  auto* json = check.add_flag("--json", options.json, "One JSON object instead of text");
  tap->excludes(json);
  check.add_option("--junit", options.junit, "Writes JUnit XML to FILE beside the report; '-': in its place")
      ->type_name("FILE");
}

}  // namespace

CLI::App* add_check_command(CLI::App& app, CheckOptions& options) {
  CLI::App* const check = app.add_subcommand("check", check_help);
  check->footer(check_footer);
  check->add_option("SOCK", options.path, "The back-end's Unix socket");
  check
      ->add_option("--second", options.second,
                   "Another socket of the same back-end: what a guest sends there arrives at SOCK")
      ->type_name("SOCK2");
  add_seconds_option(*check, "--timeout", options.timeout,
                     "Seconds to wait for each reply, and for each used buffer (5)");
  check->add_option("--device", options.device, "net, other, or guess (from the features that are offered)")
      ->check(CLI::IsMember({"net", "other", "guess"}));
  check->add_flag("--force", options.force,
                  "Also where another front-end is connected: many back-ends serve one at a time, and some drop it");
  add_choice(*check, options);
  add_output(*check, options);
  check->final_callback([&options] {
    if (!options.list && options.path.empty()) throw CLI::RequiredError("SOCK");
  });
  return check;
}

}  // namespace vhostx::tools::probe
