// SPDX-License-Identifier: BSD-3-Clause
// What every program of ours does around its work.
#pragma once

#include <cstdio>
#include <exception>
#include <string>
#include <variant>

#include <fmt/format.h>

namespace vhostx::tools {

/// A command line after which nothing is to be run: the text for a person, and the exit code (0: --help or --version,
/// 2: bad input).
struct EarlyExit {
  int code = 0;
  std::string text;
};

/// Parses the arguments (without the program's name), and calls `run` with the options, or says what stands in the way.
/// Returns what main() returns: of `run`, or 1 after an exception.
template <typename Parse, typename Run>
int run_program(const char* name, int argc, char** argv, Parse parse, Run run) try {
  const auto parsed = parse({argv + 1, argv + argc});
  const auto* options = std::get_if<0>(&parsed);
  if (options != nullptr) return run(*options);
  const EarlyExit& exit = std::get<EarlyExit>(parsed);
  std::fputs(exit.text.c_str(), exit.code == 0 ? stdout : stderr);
  return exit.code;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}: {}\n", name, error.what());
  return 1;
}

}  // namespace vhostx::tools
