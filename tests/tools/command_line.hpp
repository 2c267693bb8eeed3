// SPDX-License-Identifier: BSD-3-Clause
// What a program makes of a command line, for tests of its options.
#pragma once

#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace vhostx::tools {

/// `line` in words, as parse_options() of a program takes them; no quotes.
inline std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// What was parsed; a failure with the program's own words where that was refused.
template <typename Options, typename EarlyExit>
Options accepted(const std::string& line, const std::variant<Options, EarlyExit>& parsed) {
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    ADD_FAILURE() << line << ": " << exit->text;
    return {};
  }
  return std::get<Options>(parsed);
}

/// The message of a line that was refused with exit code 2; a failure where it was not.
template <typename Options, typename EarlyExit>
std::string refusal(const std::string& line, const std::variant<Options, EarlyExit>& parsed) {
  const auto* exit = std::get_if<EarlyExit>(&parsed);
  if (exit == nullptr) {
    ADD_FAILURE() << line << ": accepted";
    return {};
  }
  EXPECT_EQ(exit->code, 2) << line;
  return exit->text;
}

}  // namespace vhostx::tools
