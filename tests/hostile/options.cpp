// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/options.hpp"

#include <algorithm>
#include <sstream>

#include <CLI/CLI.hpp>

namespace vhostx::hostile {

std::variant<Options, tools::EarlyExit> parse_options(const std::vector<std::string>& words) {
  CLI::App app("Attacks a live vhostx-switch, and looks after each attack whether anybody else has noticed.",
               "hostile");
  Options options;
  app.add_option("switch", options.program, "The vhostx-switch that is attacked");
  app.add_flag(
      "--others-only", options.others_only,
      "Looks after everybody else, and not at what becomes of the attacker: for a program that says no reasons");
  app.add_option("--group", options.group, "The attacks of one group");
  app.add_option("--only", options.only, "Attacks of this name, such as rings.avail-jumps; * and ? stand for others");
  app.add_flag("--list", options.list, "Prints the attacks, their CVEs and what is expected, and makes none");
  app.add_flag("--one-process", options.one_process, "All in one back-end, in random order; else each in a fresh one");
  app.add_option("--share", options.share, "With --one-process: one of so many, others with each seed")
      ->check(CLI::Range(1u, 100u));
  app.add_option("--seed", options.seed, "Of that order");
  app.add_option("--repeat", options.repeat, "All of it so many times")->check(CLI::Range(1, 1'000'000));
  app.add_option("--jobs", options.jobs, "Fresh back-ends at a time (2)")->check(CLI::Range(1, 16));
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    const int code = app.exit(error, text, text);
    return tools::EarlyExit{code == 0 ? 0 : 2, text.str()};
  }
  if (options.program.empty() && !options.list) return tools::EarlyExit{2, "hostile: which vhostx-switch?\n"};
  return options;
}

}  // namespace vhostx::hostile
