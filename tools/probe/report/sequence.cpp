// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/sequence.hpp"

#include <algorithm>
#include <utility>

#include "tools/probe/report/sequence_row.hpp"

namespace vhostx::tools::probe {
namespace {

using std::chrono::nanoseconds;

/// Rows of the chart, one after the other.
class Chart {
 public:
  explicit Chart(const Links& links) : links_(links) {}

  void add_run(const Run& run) {
    if (run.folded())
      add_folded(run);
    else
      for (const Step& step : run.steps) add_step(step);
  }
  void add_step(const Step& step) {
    add_pause(step.time);
    rows_ += step_row(links_, step);
    ++count_;
  }
  void add_omitted(std::uint64_t count) {
    add(rows_, "<li class=\"omitted\" id=\"c{}-omitted\">{} more, not drawn: the page would be too large</li>\n",
        links_.connection, counted(count, "event", "events"));
  }

  std::size_t count() const noexcept { return count_; }
  /// What was added since the last call.
  Html take() {
    count_ = 0;
    return std::exchange(rows_, {});
  }

 private:
  void add_pause(nanoseconds time) {
    const nanoseconds pause = time - last_.value_or(time);
    last_ = time;
    if (pause >= pause_min) rows_ += pause_row(pause);
  }
  void add_folded(const Run& run) {
    add_pause(run.begin);
    Chart inside(links_);
    for (const Step& step : run.steps) inside.add_step(step);
    if (run.steps.size() < run.messages)
      add(inside.rows_, "<li class=\"omitted\">{} more like these, not drawn</li>\n",
          counted(run.messages - run.steps.size(), "message", "messages"));
    rows_ += folded_row(links_.connection, run, inside.take());
    last_ = run.end;
    ++count_;
  }

  const Links& links_;
  Html rows_;
  std::size_t count_ = 0;
  std::optional<nanoseconds> last_;
};

std::string end_of(const char* role, const Peer& peer) {
  return peer.pid == 0 ? std::string(role) : fmt::format("{}: {} ({})", role, shortened(peer.program, 40), peer.pid);
}

Html heading_of(const ConnectionData& connection, bool channel) {
  Html out;
  add(out,
      "<div class=\"row lifelines\" aria-hidden=\"true\"><span class=\"no\">no.</span><span class=\"at\">time, s</span>"
      "<span class=\"lanes\"><b class=\"f\">Front-end</b><b class=\"b\">Back-end</b>");
  if (channel) out.text += "<b class=\"c\">its channel</b>";
  add(out, "</span><span class=\"say\">what it says</span></div>\n");
  add(out, "<p class=\"who\">{}. {}.{}</p>\n", end_of("Front-end", connection.peak.front_end),
      end_of("Back-end", connection.peak.back_end),
      channel ? " On the right: the socket that SET_BACKEND_REQ_FD brought, where the back-end asks." : "");
  return out;
}

/// Rows of some runs, and which messages they are.
struct Part {
  Html rows;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  nanoseconds begin{};
  nanoseconds end{};
  std::uint64_t violations = 0;
};

void extend(Part& part, const Run& run) {
  if (part.first == 0) {
    part.first = run.first;
    part.begin = run.begin;
  }
  part.last = run.last;
  part.end = run.end;
  part.violations += run.violations;
}

std::vector<Part> parts_of(const ConnectionData& connection) {
  std::vector<Part> parts(1);
  const Links links(connection);
  Chart chart(links);
  for (const Run& run : connection.runs) {
    if (chart.count() >= rows_of_part) {
      parts.back().rows = chart.take();
      parts.emplace_back();
    }
    chart.add_run(run);
    extend(parts.back(), run);
  }
  if (!connection.tail.empty()) {
    if (connection.omitted != 0) chart.add_omitted(connection.omitted);
    for (const Step& step : connection.tail) chart.add_step(step);
    parts.back().last = connection.tail.back().number();
    parts.back().end = connection.tail.back().time;
  }
  parts.back().rows = chart.take();
  return parts;
}

void add_part(Html& out, const Part& part, bool open, const char* lanes) {
  add(out, "<details class=\"part\"{}><summary>Events {} to {}, {} to {} s{}</summary>\n", Html{open ? " open" : ""},
      part.first, part.last, text_of_moment(part.begin), text_of_moment(part.end),
      part.violations == 0 ? std::string() : ", ✖ " + counted(part.violations, "violation", "violations"));
  add(out, "<ol class=\"chart {}\">\n{}</ol></details>\n", lanes, part.rows);
}

}  // namespace

std::string anchor_of(std::uint32_t connection, std::uint64_t number) {
  return fmt::format("c{}-m{}", connection, number);
}

std::string anchor_in(const ConnectionData& connection, std::uint64_t number) {
  const auto is_it = [number](const Step& step) { return step.number() == number; };
  if (std::any_of(connection.tail.begin(), connection.tail.end(), is_it)) return anchor_of(connection.id, number);
  const auto run = std::lower_bound(connection.runs.begin(), connection.runs.end(), number,
                                    [](const Run& each, std::uint64_t wanted) { return each.last < wanted; });
  if (run == connection.runs.end() || run->first > number)
    return connection.omitted == 0 ? std::string() : fmt::format("c{}-omitted", connection.id);
  if (std::any_of(run->steps.begin(), run->steps.end(), is_it)) return anchor_of(connection.id, number);
  return run_anchor_of(connection.id, *run);
}

Html sequence_chart(const ConnectionData& connection) {
  const bool channel = connection.back_end_messages != 0;
  const char* const lanes = channel ? "three" : "two";
  Html out = html("<div class=\"sequence {}\">\n", lanes);
  out += heading_of(connection, channel);
  const auto parts = parts_of(connection);
  if (parts.size() == 1)
    add(out, "<ol class=\"chart {}\">\n{}</ol>\n", lanes, parts.front().rows);
  else
    for (std::size_t i = 0; i < parts.size(); ++i)
      add_part(out, parts[i], i == 0 || i + 1 == parts.size() || parts[i].violations != 0, lanes);
  out.text += "</div>\n";
  return out;
}

}  // namespace vhostx::tools::probe
