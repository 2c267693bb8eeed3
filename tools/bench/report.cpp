// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tools/bench/histogram_text.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr unsigned histogram_columns = 79;  // a terminal of 80
constexpr double pace_share_least = 0.99;
constexpr double cpu_share_least = 0.9;  // below this, a limit is rather what others left of the CPUs

/// What a row is of: the length that was sent or, in rx, the mean of those that came.
double shown_bytes(const SizeResult& result, const Options& options) {
  return options.mode == Mode::rx ? result.mean_bytes() : result.frame_bytes;
}

bool shows_arrivals(const Options& options) { return options.mode != Mode::tx && options.mode != Mode::rx; }

/// "lost 3, damaged 1", or "-".
std::string faults_of(const Counts& counts) {
  std::string text;
  const auto add = [&](std::uint64_t count, const char* name) {
    if (count != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count);
  };
  add(counts.lost, "lost");
  add(counts.duplicated, "duplicated");
  add(counts.reordered, "reordered");
  add(counts.damaged, "damaged");
  add(counts.late, "late");
  return text.empty() ? "none" : text;
}

std::string share_of_limit(const Report& report, std::size_t size, double rate) {
  if (size >= report.limits.size() || report.limits[size].pps.empty()) return {};
  const double limit = spread_of(report.limits[size].pps).median;
  return fmt::format("  {:>7.2f} {:>5.0f} %", limit / 1e6, 100 * rate / limit);
}

/// A back-end that polls takes half of a CPU from the limit's thread there.
std::string warning_of(const Report& report) {
  double share = 1;
  for (const LimitResult& limit : report.limits) share = std::min(share, limit.cpu_share);
  if (share >= cpu_share_least) return {};
  return fmt::format(
      "\nlimit: its threads got only {:.0f} % of a CPU's time, so that it is too low. A back-end that polls there is "
      "stopped "
      "meanwhile where --pid (--pid-a, --pid-b) names its process.\n",
      100 * share);
}

std::string row_of(const Report& report, const Options& options, const SideResult& side, std::size_t size) {
  const SizeResult& result = side.sizes[size];
  if (!result.impossible.empty())
    return fmt::format("{:>6}  not possible: {}\n", result.frame_bytes, result.impossible);
  const Spread pps = spread_of(result.packets_per_second());
  std::string row =
      fmt::format("{:>6.0f}  {:>8.3f}  {:>7.3f}..{:<7.3f}  {:>7.2f}", shown_bytes(result, options), pps.median / 1e6,
                  pps.low / 1e6, pps.high / 1e6, spread_of(result.bits_per_second()).median / 1e9);
  row += fmt::format("  {:>3.0f} %", 100 * spread_of(result.idle()).median);
  row += share_of_limit(report, size, pps.median);
  if (shows_arrivals(options)) row += "  " + faults_of(result.counts);
  if (options.mode != Mode::rx && result.counts.foreign != 0)
    row += fmt::format("  ({} foreign)", result.counts.foreign);
  return row + "\n";
}

/// Where --rate asked for more than was sent. In each round one packet may be on the wrong side of its end.
std::string missed_pace_of(const SizeResult& result, const Options& options) {
  double seconds = 0;
  double sent = 0;
  for (const Round& round : result.rounds) {
    seconds += round.seconds;
    sent += static_cast<double>(round.sent);
  }
  const double asked = options.rate_pps * seconds;
  if (options.mode == Mode::rx || sent + static_cast<double>(result.rounds.size()) >= pace_share_least * asked)
    return {};
  return fmt::format("{} bytes: the pace was not reached: {:.0f} packets a second asked for, {:.0f} sent\n",
                     result.frame_bytes, options.rate_pps, sent / seconds);
}

std::string latency_of(const SizeResult& result) {
  if (!result.latency || result.latency->count() == 0) return {};
  const LatencyHistogram& times = *result.latency;
  const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  return fmt::format(
      "\n{} bytes, {} packets, microseconds: min {:.2f}  p50 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f}\n{}",
      result.frame_bytes, times.count(), us(times.min()), us(times.percentile(50)), us(times.percentile(99)),
      us(times.percentile(99.9)), us(times.max()), histogram_text(times, histogram_columns));
}

std::string gaps_of(const SizeResult& result) {
  if (!result.latency) return {};
  const auto seconds = result.longest_gap_seconds();
  if (seconds.empty()) return {};
  const Spread spread = spread_of(seconds);
  const double longest = *std::max_element(seconds.begin(), seconds.end());
  return fmt::format(
      "{} bytes, longest gap between arrivals in a round, ms: median {:.3f}  quartiles {:.3f}..{:.3f}  max {:.3f}\n",
      result.frame_bytes, 1e3 * spread.median, 1e3 * spread.low, 1e3 * spread.high, 1e3 * longest);
}

std::string table_of(const Report& report, const Options& options, const SideResult& side) {
  std::string text = fmt::format("\n{}\n", side.label);
  for (const auto& line : side.endpoints) text += "  " + line + "\n";
  text += fmt::format("{:>6}  {:>8}  {:<16}  {:>7}", options.mode == Mode::rx ? "mean B" : "bytes", "Mpps",
                      "   quartiles", "Gbit/s");
  text += fmt::format("  {:>5}", "idle");
  if (!report.limits.empty()) text += fmt::format("  {:>7} {:>7}", "limit", "of it");
  text += shows_arrivals(options) ? "  faults\n" : "\n";
  for (std::size_t i = 0; i < side.sizes.size(); ++i) text += row_of(report, options, side, i);
  for (const auto& size : side.sizes) text += missed_pace_of(size, options);
  for (const auto& size : side.sizes) text += latency_of(size) + gaps_of(size);
  for (const auto& size : side.sizes) text += moves_of(size);
  return text;
}

std::string ratios_of(const Report& report, const Options& options) {
  const SideResult& a = report.sides[0];
  const SideResult& b = report.sides[1];
  std::string text =
      fmt::format("\n{} by {}\n{:>6}  {:>8}  {:<16}  rounds\n", a.label, b.label, "bytes", "ratio", "   quartiles");
  for (std::size_t i = 0; i < std::min(a.sizes.size(), b.sizes.size()); ++i) {
    const auto values = ratios(a.sizes[i], b.sizes[i]);
    if (values.empty()) continue;
    const Spread spread = spread_of(values);
    text += fmt::format("{:>6.0f}  {:>8.3f}  {:>7.3f}..{:<7.3f}  {}\n", shown_bytes(a.sizes[i], options), spread.median,
                        spread.low, spread.high, values.size());
  }
  return text;
}

}  // namespace

std::vector<double> SizeResult::packets_per_second() const {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(static_cast<double>(round.packets) / round.seconds);
  return values;
}

std::vector<double> SizeResult::sent_per_second() const {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(static_cast<double>(round.sent) / round.seconds);
  return values;
}

std::vector<double> SizeResult::bits_per_second() const {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(8 * static_cast<double>(round.bytes) / round.seconds);
  return values;
}

double SizeResult::mean_bytes() const {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  for (const Round& round : rounds) {
    packets += round.packets;
    bytes += round.bytes;
  }
  return packets == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(packets);
}

std::vector<double> SizeResult::idle() const {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(round.idle_seconds / round.seconds);
  return values;
}

std::vector<double> SizeResult::longest_gap_seconds() const {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(round.longest_gap_seconds);
  return values;
}

std::vector<double> ratios(const SizeResult& a, const SizeResult& b) {
  const auto rates_a = a.packets_per_second();
  const auto rates_b = b.packets_per_second();
  std::vector<double> values;
  for (std::size_t i = 0; i < std::min(rates_a.size(), rates_b.size()); ++i)
    if (rates_b[i] > 0) values.push_back(rates_a[i] / rates_b[i]);
  return values;
}

bool is_faulty(const Report& report, const Options& options) {
  for (const auto& side : report.sides)
    for (const auto& size : side.sizes)
      if (size.counts.damaged + size.counts.duplicated + (options.no_loss ? size.counts.lost : 0) != 0) return true;
  return false;
}

std::string text_of(const Report& report, const Options& options) {
  std::string text;
  for (const auto& side : report.sides) text += table_of(report, options, side);
  if (report.sides.size() == 2) text += ratios_of(report, options);
  text += warning_of(report);
  if (report.interrupted) text += "\nInterrupted: the rounds so far.\n";
  return text;
}

Plot plot_of(const Report& report, const Options& options) {
  Plot plot{fmt::format("vhostx-bench, {}", to_string(options.mode)),
            "frame bytes",
            "Mpps: median and quartiles",
            "Gbit/s: median, paler lines",
            true,
            {}};
  for (const auto& side : report.sides) {
    PlotSeries series{side.label, {}};
    for (const auto& size : side.sizes) {
      const double bytes = shown_bytes(size, options);
      if (!size.impossible.empty() || bytes == 0) continue;  // 0 has no place on a logarithmic axis
      const Spread spread = spread_of(size.packets_per_second());
      series.points.push_back({bytes,
                               {spread.median / 1e6, spread.low / 1e6, spread.high / 1e6},
                               spread_of(size.bits_per_second()).median / 1e9});
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

}  // namespace vhostx::tools::bench
