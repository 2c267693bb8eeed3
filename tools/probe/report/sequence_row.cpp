// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/sequence_row.hpp"

#include <algorithm>
#include <cmath>

#include "tools/probe/report/sequence.hpp"

namespace vhostx::tools::probe {
namespace {

using protocol::Incoming;
using std::chrono::nanoseconds;

constexpr std::size_t text_bytes_shown = 150;

bool on_channel(Incoming way) noexcept {
  return way == Incoming::back_end_requests || way == Incoming::replies_to_back_end;
}
bool to_back_end(Incoming way) noexcept {
  return way == Incoming::front_end_requests || way == Incoming::replies_to_back_end;
}

/// Classes of an arrow: where it lies, where it points, and what it is.
std::string arrow_classes(Incoming way) {
  const bool channel = on_channel(way);
  // The channel's far end is the front-end again: there, what goes to the back-end goes left.
  const bool right = to_back_end(way) != channel;
  return fmt::format("arrow {} {} {}", channel ? "side" : "main", right ? "right" : "left",
                     protocol::is_reply(way) ? "reply" : "request");
}

const char* spoken_way(Incoming way) noexcept {
  return to_back_end(way) ? "front-end to back-end: " : "back-end to front-end: ";
}

/// "violation", "remark", or nothing: the heaviest of what was found.
const char* weight_class(std::uint64_t violations, std::uint64_t remarks) noexcept {
  if (violations != 0) return "violation";
  return remarks != 0 ? "remark" : "";
}

const char* weight_class(const std::vector<Finding>& findings) noexcept {
  std::uint64_t violations = 0;
  for (const Finding& finding : findings) violations += finding.weight == Finding::Weight::violation ? 1 : 0;
  return weight_class(violations, findings.size());
}

const char* sign_of(std::string_view weight) noexcept {
  if (weight == "violation") return "✖ ";
  return weight == "remark" ? "● " : "";
}

/// "SET_VRING_CALL" may be broken behind each "_".
Html breakable(const std::string& name) {
  Html out;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('_', begin), name.size() - 1) + 1;
    add(out, "{}{}", name.substr(begin, end - begin), Html{end < name.size() ? "<wbr>" : ""});
    begin = end;
  }
  return out;
}

void add_arrow(Html& out, Incoming way, const char* weight, const std::string& name) {
  add(out, "<span class=\"lanes\"><span class=\"{}\"><i>{}</i>{}{}</span></span>", arrow_classes(way), spoken_way(way),
      sign_of(weight), breakable(name));
}

std::string after(const Step& reply) {
  return reply.decoded.round_trip ? " after " + text_of_time(*reply.decoded.round_trip) : std::string();
}

void add_pair(Html& out, const Links& links, const Step& step) {
  if (const auto& request = step.decoded.answers)
    add(out, " {}", links.link(*request, fmt::format("↰ answers {}{}", *request, after(step))));
  if (!step.is_message()) return;
  const auto reply = links.answer_to.find(step.number());
  if (reply == links.answer_to.end()) return;
  const std::uint64_t number = reply->second->number();
  add(out, " {}", links.link(number, fmt::format("↳ answered by {}{}", number, after(*reply->second))));
}

// A long one opens, else one list of features would fill the screen.
void add_decoded(Html& out, const std::string& text) {
  if (text.size() <= text_bytes_shown) {
    add(out, "<span class=\"text\">{}</span>", text);
    return;
  }
  std::string begin = shortened(text, text_bytes_shown * 2 / 3);
  begin.resize(std::min(begin.rfind(' '), begin.size()));
  add(out, "<details class=\"text\"><summary>{}</summary>{}</details>", begin + " …", text);
}

void add_say(Html& out, const Links& links, const Step& step) {
  out.text += "<div class=\"say\">";
  add_decoded(out, step.decoded.text);
  add_pair(out, links, step);
  for (const Finding& finding : step.decoded.findings) out += finding_line(finding);
  out.text += "</div>";
}

void add_number_and_time(Html& out, std::uint64_t number, nanoseconds time) {
  add(out, "<span class=\"no\">{}</span><span class=\"at\">{}</span>", number, text_of_moment(time));
}

const char* event_name(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::opened:
      return "connected";
    case EventKind::closed:
      return "closed";
    default:
      return "note";
  }
}

std::string text_of_run(const Run& run) {
  std::string text =
      fmt::format("{} in {}", counted(run.messages, "message", "messages"), text_of_time(run.end - run.begin));
  if (run.requests != 0 && run.requests != run.messages)
    text += fmt::format(": {}, {}", counted(run.requests, "request", "requests"),
                        counted(run.messages - run.requests, "reply", "replies"));
  if (run.slowest) text += "; the slowest answered after " + text_of_time(*run.slowest);
  return text;
}

}  // namespace

Links::Links(const ConnectionData& data) : connection(data.id) {
  const auto take = [this](const Step& step) {
    shown.insert(step.number());
    if (step.decoded.answers) answer_to.emplace(*step.decoded.answers, &step);
  };
  for (const Run& run : data.runs) std::for_each(run.steps.begin(), run.steps.end(), take);
  std::for_each(data.tail.begin(), data.tail.end(), take);
}

Html Links::link(std::uint64_t number, const std::string& text) const {
  if (shown.count(number) == 0) return html("<span class=\"pair\">{}</span>", text);
  return html("<a class=\"pair\" href=\"#{}\">{}</a>", anchor_of(connection, number), text);
}

std::string run_anchor_of(std::uint32_t connection, const Run& run) {
  return fmt::format("c{}-run{}", connection, run.first);
}

std::string text_of_time(nanoseconds time) {
  const double ns = static_cast<double>(time.count());
  const double size = std::abs(ns);
  if (size < 1e3) return fmt::format("{:.0f} ns", ns);
  const auto [unit, divisor] = size < 1e6   ? std::pair("µs", 1e3)
                               : size < 1e9 ? std::pair("ms", 1e6)
                                            : std::pair("s", 1e9);
  const double value = ns / divisor;
  const int digits = std::abs(value) < 9.995 ? 2 : std::abs(value) < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, digits, unit);
}

std::string text_of_moment(nanoseconds time) {
  return fmt::format("{}.{:06}", time.count() / 1'000'000'000, time.count() / 1'000 % 1'000'000);
}

Html finding_line(const Finding& finding) {
  const bool violates = finding.weight == Finding::Weight::violation;
  return html("<span class=\"finding {}\"><b>{}</b> {} <cite>{}</cite></span>", violates ? "violation" : "remark",
              violates ? "✖ violation:" : "● remark:", finding.text, finding.section);
}

Html step_row(const Links& links, const Step& step) {
  const char* const weight = weight_class(step.decoded.findings);
  Html out;
  add(out, "<li class=\"row {} {}\" id=\"{}\">", step.is_message() ? "message" : "event", weight,
      anchor_of(links.connection, step.number()));
  add_number_and_time(out, step.number(), step.time);
  if (step.is_message())
    add_arrow(out, step.way, weight, step.decoded.name + (protocol::is_reply(step.way) ? " reply" : ""));
  else
    add(out, "<span class=\"lanes\"><span class=\"moment\">{}</span></span>", event_name(step.kind));
  add_say(out, links, step);
  out.text += "</li>\n";
  return out;
}

Html folded_row(std::uint32_t connection, const Run& run, const Html& rows) {
  const Step& first = run.steps.front();
  const char* const weight = weight_class(run.violations, run.remarks);
  Html out;
  add(out, "<li class=\"run {}\" id=\"{}\"><details><summary class=\"row\">", weight, run_anchor_of(connection, run));
  add_number_and_time(out, run.first, run.begin);
  add_arrow(out, first.way, weight,
            fmt::format("{} ×{}", first.decoded.name, run.requests == 0 ? run.messages : run.requests));
  add(out, "<span class=\"say\"><span class=\"text\">{}</span> <span class=\"more\">each of them</span>",
      text_of_run(run));
  if (run.violations != 0)
    add(out, "<span class=\"finding violation\"><b>✖ {}</b></span>",
        counted(run.violations, "violation", "violations"));
  if (run.remarks != 0)
    add(out, "<span class=\"finding remark\"><b>● {}</b></span>", counted(run.remarks, "remark", "remarks"));
  add(out, "</span></summary>\n<ol>\n{}</ol></details></li>\n", rows);
  return out;
}

Html pause_row(nanoseconds pause) {
  return html(
      "<li class=\"row pause\"><span class=\"no\"></span><span class=\"at\"></span><span class=\"lanes\"><span "
      "class=\"moment\">{} of silence</span></span><span class=\"say\"></span></li>\n",
      text_of_time(pause));
}

}  // namespace vhostx::tools::probe
