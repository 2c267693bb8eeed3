// SPDX-License-Identifier: BSD-3-Clause
// What the value of an option has to be, with messages of our own: those of CLI11 change with its version.
//
// A value that does not fit throws WrongLine: "--stats is 'abc': expected seconds, 0.01 to 1000000000".
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace vhostx::tools {

/// What is wrong with a command line, for the person who wrote it. parse_command_line() catches it.
class WrongLine : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `expected` returns what the value should have been, or an empty text if it is right.
CLI::Option* expect(CLI::Option* option, std::function<std::string(const std::string& value)> expected);

/// A whole decimal number from `min` to `max`. `what` names it in messages: "bytes", "a CPU".
CLI::Option* expect_whole(CLI::Option* option, std::int64_t min, std::int64_t max,
                          std::string_view what = "a whole number");

/// A number that may have a fraction.
CLI::Option* expect_number(CLI::Option* option, double min, double max, std::string_view what);

/// One of the words of the option's type name, which is "full|head" and stands so in --help too.
CLI::Option* expect_word(CLI::Option* option);

/// The words of a type name "full|head"; none where it is of another kind ("FILE", "PID|SOCK").
std::vector<std::string> words_of_type(std::string_view type_name);

/// "a, b or c"
std::string listed(const std::vector<std::string>& words);

}  // namespace vhostx::tools
