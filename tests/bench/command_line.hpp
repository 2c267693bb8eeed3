// SPDX-License-Identifier: BSD-3-Clause
// What the benches' command lines have in common.
#pragma once

#include <regex>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/bench/sittings.hpp"

namespace vhostx::bench {

/// --case and --rounds of programs that compare two ways, in turn.
struct ComparisonOptions {
  std::string case_regex = ".*";
  int rounds = 5 * sitting_rounds;

  void add_to(CLI::App& app) {
    app.add_option("--case", case_regex, "Only cases whose name matches")->type_name("REGEX")->check(fault_of_regex);
    app.add_option("--rounds", rounds,
                   fmt::format("Pairs of rounds a case, rounded up to sittings of {}", sitting_rounds))
        ->check(CLI::Range(1, 100000));
  }

 private:
  static std::string fault_of_regex(const std::string& text) {
    try {
      const std::regex good(text);
      return {};
    } catch (const std::regex_error& error) {
      return fmt::format("'{}': {}", text, error.what());
    }
  }
};

/// The rest of main(): 2 for a command line that is wrong, else what `run` answers.
template <typename Run>
int parse_and_run(CLI::App& app, int argc, char** argv, Run run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run();
}

}  // namespace vhostx::bench
