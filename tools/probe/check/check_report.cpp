// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/check_report.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;

const char* colour_of(Outcome outcome) noexcept {
  if (outcome == Outcome::passed) return "\x1b[32m";
  return outcome == Outcome::failed ? "\x1b[31m" : "\x1b[2m";
}

/// One line, whatever a back-end had to do with it.
std::string one_line(std::string text) {
  for (char& letter : text)
    if (static_cast<unsigned char>(letter) < 0x20) letter = ' ';
  return text;
}

double seconds_of(const CheckResult& result) { return std::chrono::duration<double>(result.took).count(); }

/// For attributes and text; what XML 1.0 has no way to write becomes a question mark.
std::string xml(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    if (letter == '&') {
      escaped += "&amp;";
    } else if (letter == '<') {
      escaped += "&lt;";
    } else if (letter == '>') {
      escaped += "&gt;";
    } else if (letter == '"') {
      escaped += "&quot;";
    } else {
      escaped += code < 0x20 || code > 0x7e ? '?' : letter;
    }
  }
  return escaped;
}

bool is_skipped(const CheckResult& result) {
  return result.verdict.outcome == Outcome::not_applicable || result.verdict.outcome == Outcome::not_tried;
}

void add_case(std::string& text, const CheckResult& result) {
  auto out = std::back_inserter(text);
  const std::string group = result.check->group();
  fmt::format_to(out, "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6f}\">\n", xml(group),
                 xml(result.check->id.substr(group.size() + 1)), seconds_of(result));
  const std::string seen = xml(result.verdict.seen);
  if (result.verdict.outcome == Outcome::failed)
    fmt::format_to(out, "      <failure message=\"{}\">{} ({})</failure>\n", seen, xml(result.check->title),
                   xml(result.check->section));
  else if (is_skipped(result))
    fmt::format_to(out, "      <skipped message=\"{}: {}\"/>\n", to_string(result.verdict.outcome), seen);
  else
    fmt::format_to(out, "      <system-out>{}</system-out>\n", seen);
  text += "    </testcase>\n";
}

using Results = std::vector<CheckResult>;

/// Opens a <testsuite> for the results from `first` on that share its group; where they end.
Results::const_iterator add_suite(std::string& text, Results::const_iterator first, Results::const_iterator last) {
  const std::string group = first->check->group();
  const auto end = std::find_if(first, last, [&](const CheckResult& one) { return one.check->group() != group; });
  const auto failures =
      std::count_if(first, end, [](const CheckResult& one) { return one.verdict.outcome == Outcome::failed; });
  fmt::format_to(std::back_inserter(text),
                 "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n", xml(group),
                 std::distance(first, end), failures, std::count_if(first, end, is_skipped));
  std::for_each(first, end, [&](const CheckResult& one) { add_case(text, one); });
  text += "  </testsuite>\n";
  return end;
}

Json result_json(const CheckResult& result) {
  return {{"id", result.check->id},
          {"section", result.check->section},
          {"title", result.check->title},
          {"result", std::string(to_string(result.verdict.outcome))},
          {"seen", one_line(result.verdict.seen)},
          {"seconds", seconds_of(result)}};
}

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace

std::string text_line(const CheckResult& result, bool colours) {
  if (result.verdict.outcome == Outcome::not_tried) return {};
  const auto word = fmt::format("{:<15}", to_string(result.verdict.outcome));
  const auto shown = colours ? colour_of(result.verdict.outcome) + word + "\x1b[0m" : word;
  std::string text = fmt::format("{} {:<40} {}\n", shown, result.check->id, one_line(result.verdict.seen));
  if (result.verdict.outcome == Outcome::failed)
    text += fmt::format("{:<15} expected: {} ({})\n", "", result.check->title, result.check->section);
  return text;
}

std::string summary_line(const CheckReport& report) {
  const std::string tried = fmt::format("{} passed, {} failed, {} not applicable", report.count(Outcome::passed),
                                        report.count(Outcome::failed), report.count(Outcome::not_applicable));
  const std::size_t untried = report.count(Outcome::not_tried);
  if (untried == 0) return tried + '\n';
  return fmt::format("{}, {} not tried: {}\n", tried, untried, one_line(report.results.back().verdict.seen));
}

std::string tap_plan(std::size_t checks) { return fmt::format("TAP version 13\n1..{}\n", checks); }

std::string tap_line(const CheckResult& result, std::size_t number) {
  std::string seen = one_line(result.verdict.seen);
  std::replace(seen.begin(), seen.end(), '#', '.');  // begins a directive
  const auto outcome = result.verdict.outcome;
  if (outcome == Outcome::not_applicable) return fmt::format("ok {} - {} # SKIP {}\n", number, result.check->id, seen);
  if (outcome == Outcome::not_tried) return fmt::format("ok {} - {} # SKIP not tried\n", number, result.check->id);
  if (outcome == Outcome::passed) return fmt::format("ok {} - {}: {}\n", number, result.check->id, seen);
  return fmt::format("not ok {} - {}: {}\n# expected: {} ({})\n", number, result.check->id, seen, result.check->title,
                     result.check->section);
}

std::string junit_of(const CheckReport& report) {
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vhostx-probe check\" tests=\"{}\" "
      "failures=\"{}\">\n",
      report.results.size(), report.count(Outcome::failed));
  for (auto at = report.results.begin(); at != report.results.end();) at = add_suite(text, at, report.results.end());
  return text + "</testsuites>\n";
}

std::string json_of(const CheckReport& report) {
  Json checks = Json::array();
  for (const CheckResult& result : report.results) checks.push_back(result_json(result));
  return dump({{"socket", report.subject.path},
               {"device", report.subject.net ? "net" : "other"},
               {"passed", report.count(Outcome::passed)},
               {"failed", report.count(Outcome::failed)},
               {"not_applicable", report.count(Outcome::not_applicable)},
               {"not_tried", report.count(Outcome::not_tried)},
               {"checks", checks}});
}

std::string list_of(const std::vector<const Check*>& checks) {
  std::string text;
  for (const Check* check : checks)
    fmt::format_to(std::back_inserter(text), "{:<40} {} ({})\n", check->id, check->title, check->section);
  return text;
}

std::string list_json_of(const std::vector<const Check*>& checks) {
  Json list = Json::array();
  for (const Check* check : checks)
    list.push_back({{"id", check->id}, {"section", check->section}, {"title", check->title}});
  return dump(list);
}

}  // namespace vhostx::tools::probe
