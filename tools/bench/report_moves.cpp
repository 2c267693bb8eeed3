// SPDX-License-Identifier: BSD-3-Clause
// Migrations, in the report for people.
#include <fmt/format.h>

#include "tools/bench/report.hpp"

namespace vhostx::tools::bench {
namespace {

template <typename Value>
std::string line_of(const SizeResult& result, const char* name, Value value) {
  std::vector<double> values;
  for (const Move& move : result.moves) values.push_back(value(move));
  const Spread spread = spread_of(values);
  return fmt::format("  {:<46} {:>10.3f}  {:>10.3f}..{:<10.3f}\n", name, spread.median, spread.low, spread.high);
}

template <typename Value>
std::string whole_line_of(const SizeResult& result, const char* name, Value value) {
  std::vector<double> values;
  for (const Move& move : result.moves) values.push_back(static_cast<double>(value(move)));
  const Spread spread = spread_of(values);
  return fmt::format("  {:<46} {:>10.0f}  {:>10.0f}..{:<10.0f}\n", name, spread.median, spread.low, spread.high);
}

}  // namespace

std::string moves_of(const SizeResult& result) {
  if (result.moves.empty()) return {};
  const auto milliseconds = [&](const char* name, double Move::*seconds) {
    return line_of(result, name, [seconds](const Move& move) { return 1e3 * (move.*seconds); });
  };
  std::string text = fmt::format("\n{} bytes, {} migrations\n  {:<46} {:>10}  {:>16}\n", result.frame_bytes,
                                 result.moves.size(), "", "median", "quartiles");
  text += milliseconds("nothing came to the guest for, ms", &Move::gap_seconds);
  text += milliseconds("  the rings stop, ms", &Move::stop_seconds);
  text += milliseconds("  the rest of its memory is copied, ms", &Move::copy_seconds);
  text += milliseconds("  the rings start at the destination, ms", &Move::start_seconds);
  text += milliseconds("  until the first packet comes, ms", &Move::first_packet_seconds);
  text += line_of(result, "the back-ends' part (stop, start, packet), ms",
                  [](const Move& move) { return 1e3 * move.back_end_seconds(); });
  text += whole_line_of(result, "packets lost", [](const Move& move) { return move.lost; });
  text += line_of(result, "time a packet with the log, by that without",
                  [](const Move& move) { return move.cost_of_log(); });
  text += whole_line_of(result, "dirty pages a second (a look each 10 ms)",
                        [](const Move& move) { return move.dirty_pages_per_second; });
  text +=
      whole_line_of(result, fmt::format("pages dirty at the stop, of {}", result.moves.front().pages_in_all).c_str(),
                    [](const Move& move) { return move.pages_at_stop; });
  return text;
}

}  // namespace vhostx::tools::bench
