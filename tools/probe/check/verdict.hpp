// SPDX-License-Identifier: BSD-3-Clause
// What a check found.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <vhostx/result.hpp>

namespace vhostx::tools::probe {

enum class Outcome { passed, failed, not_applicable, not_tried };

/// "passed", "failed", "not applicable", "not tried".
constexpr std::string_view to_string(Outcome outcome) noexcept {
  if (outcome == Outcome::passed) return "passed";
  if (outcome == Outcome::failed) return "failed";
  return outcome == Outcome::not_applicable ? "not applicable" : "not tried";
}

struct Verdict {
  Outcome outcome = Outcome::failed;
  std::string seen;  ///< One line: what was seen, or why it does not apply.
};

template <typename... Args>
Verdict passed(fmt::format_string<Args...> text, Args&&... args) {
  return {Outcome::passed, fmt::format(text, std::forward<Args>(args)...)};
}
template <typename... Args>
Verdict failed(fmt::format_string<Args...> text, Args&&... args) {
  return {Outcome::failed, fmt::format(text, std::forward<Args>(args)...)};
}
template <typename... Args>
Verdict not_applicable(fmt::format_string<Args...> text, Args&&... args) {
  return {Outcome::not_applicable, fmt::format(text, std::forward<Args>(args)...)};
}

/// Thrown: the check is over, from however deep it is known. Caught by run_check() alone.
struct Decided {
  Verdict verdict;
};

/// Thrown: nobody listens any more, so that what follows cannot be checked.
struct BackEndGone {
  std::string why;
};

/// The value, or the end of the check: "<step>: <what was wrong>".
template <typename T>
T need(Result<T> result, std::string_view step) {
  if (!result) throw Decided{failed("{}: {}", step, result.error().message)};
  return std::move(result).value();
}
inline void need(const Result<void>& result, std::string_view step) {
  if (!result) throw Decided{failed("{}: {}", step, result.error().message)};
}

}  // namespace vhostx::tools::probe
