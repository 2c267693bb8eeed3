// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/check_options.hpp"

#include <CLI/CLI.hpp>

#include "tools/common/values.hpp"
#include "tools/probe/option_types.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* check_help =
    "Checks a back-end against the specification. Each check connects as a front-end and a guest of its own, and sends "
    "few frames, of ethertype 0x88b5";

constexpr const char* check_footer = R"(
Examples:
  vhostx-probe check --gentle /tmp/vm0.sock
  vhostx-probe check /tmp/vm0.sock --second /tmp/vm1.sock
  vhostx-probe check --only 'ring.*' --junit checks.xml /tmp/vm0.sock
  vhostx-probe check --list

Without --gentle, bad input may crash a back-end that was not made for it. Do not use it on one that guests depend on.)";

void add_choice(CLI::App& check, CheckOptions& options) {
  check.add_option("--only", options.only, "Runs the checks whose id matches, for example 'ring.*'; may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  check.add_option("--group", options.groups, "Runs the checks of this group; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  check.add_flag("--list", options.list, "Lists the checks and runs none");
  check.add_flag("--gentle", options.gentle,
                 "Sends nothing that the specification forbids: leaves out the group bad-input");
}

void add_output(CLI::App& check, CheckOptions& options) {
  auto* tap = check.add_flag("--tap", options.tap, "Prints TAP (version 13) instead of text");
  auto* json = check.add_flag("--json", options.json, "Prints one JSON object instead of text");
  tap->excludes(json);
  check.add_option("--junit", options.junit, "Also writes JUnit XML to FILE; - prints it instead of the report")
      ->type_name("FILE");
}

}  // namespace

CLI::App* add_check_command(CLI::App& app, CheckOptions& options) {
  CLI::App* const check = app.add_subcommand("check", check_help);
  check->footer(check_footer);
  check->add_option("SOCK", options.path, "The back-end's Unix socket");
  check->add_option("--second", options.second, "Another port of the same back-end: frames sent there arrive at SOCK")
      ->type_name("SOCK2");
  add_seconds_option(*check, "--timeout", options.timeout,
                     "Seconds to wait for each reply, and for each used buffer (5)");
  expect_word(check->add_option("--device", options.device, "Kind of device; guess: from the offered features")
                  ->type_name("net|other|guess"));
  check->add_flag(
      "--force", options.force,
      "Connect even if another front-end is connected. Many back-ends serve one at a time, and some drop the first");
  add_choice(*check, options);
  add_output(*check, options);
  check->final_callback([&options] {
    if (!options.list && options.path.empty()) throw WrongLine("SOCK is missing: the back-end's Unix socket");
  });
  return check;
}

}  // namespace vhostx::tools::probe
