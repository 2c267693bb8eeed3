// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/values.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "tools/common/nearest.hpp"

namespace vhostx::tools {
namespace {

template <typename T>
bool is_number(const std::string& text, T min, T max) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && stopped == end && number >= min && number <= max;
}

/// CLI11 takes a leading zero for octal; 007 is 7 to everybody else.
std::string without_zeros(const std::string& number) {
  const auto digits = number.find_first_not_of('0');
  return digits == 0 ? number : digits == std::string::npos ? "0" : number.substr(digits);
}

}  // namespace

CLI::Option* expect(CLI::Option* option, std::function<std::string(const std::string&)> expected) {
  return option->transform([name = option->get_name(), expected = std::move(expected)](std::string value) {
    if (const auto text = expected(value); !text.empty())
      throw WrongLine(fmt::format("{} is '{}': expected {}", name, value, text));
    return value;
  });
}

CLI::Option* expect_whole(CLI::Option* option, std::int64_t min, std::int64_t max, std::string_view what) {
  const auto expected = fmt::format("{}, {} to {}", what, min, max);
  option->transform(without_zeros);
  return expect(option, [=](const std::string& value) { return is_number(value, min, max) ? "" : expected; });
}

CLI::Option* expect_number(CLI::Option* option, double min, double max, std::string_view what) {
  const auto expected = fmt::format("{}, {:.10g} to {:.10g}", what, min, max);
  return expect(option, [=](const std::string& value) { return is_number(value, min, max) ? "" : expected; });
}

CLI::Option* expect_word(CLI::Option* option) {
  return expect(option, [words = words_of_type(option->get_type_name())](const std::string& value) -> std::string {
    if (std::find(words.begin(), words.end(), value) != words.end()) return {};
    return listed(words) + did_you_mean(value, words);
  });
}

std::vector<std::string> words_of_type(std::string_view type_name) {
  const bool lower = std::none_of(type_name.begin(), type_name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!lower || type_name.find('|') == std::string_view::npos) return {};
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= type_name.size();) {
    const auto end = std::min(type_name.find('|', begin), type_name.size());
    words.emplace_back(type_name.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return text;
}

}  // namespace vhostx::tools
