// SPDX-License-Identifier: BSD-3-Clause
// Report: what was measured, as text, JSON and plot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/latency_histogram.hpp"
#include "tools/bench/limit.hpp"
#include "tools/bench/options.hpp"
#include "tools/bench/plot_svg.hpp"
#include "tools/bench/statistics.hpp"
#include "tools/bench/traffic.hpp"

namespace vhostx::tools::bench {

/// A migration of the guest under load, one a round. Pages are of 4096 bytes.
struct Move {
  Round without_log;
  Round with_log;
  std::uint64_t lost = 0;  ///< Packets, in the whole round.
  std::uint64_t pages_in_all = 0;
  std::uint64_t pages_at_stop = 0;    ///< Marked in the log once the rings had stopped.
  double dirty_pages_per_second = 0;  ///< Marks found by a look each 10 ms.
  double gap_seconds = 0;             ///< The longest time in which nothing came to the guest. Of it:
  double stop_seconds = 0;            ///< ... GET_VRING_BASE of each ring
  double copy_seconds = 0;            ///< ... the hypervisor's part
  double start_seconds = 0;           ///< ... the destination is told everything
  double first_packet_seconds = 0;    ///< ... until the first packet comes

  /// Time a packet with the log, by that without; 0: no packets.
  double cost_of_log() const noexcept {
    const double with = with_log.packets == 0 ? 0 : with_log.seconds / static_cast<double>(with_log.packets);
    return with * static_cast<double>(without_log.packets) / without_log.seconds;
  }
  /// The back-end's part of the downtime.
  double back_end_seconds() const noexcept { return stop_seconds + start_seconds + first_packet_seconds; }
};

/// Frames of one length, at one back-end.
struct SizeResult {
  std::uint32_t frame_bytes = 0;  ///< As asked for.
  std::string impossible;         ///< Why it was not measured; empty: it was.
  std::vector<Round> rounds;
  Counts counts;
  std::optional<LatencyHistogram> latency;
  std::vector<Move> moves;  ///< By round, where the guest migrates.

  std::vector<double> packets_per_second() const;
  std::vector<double> bits_per_second() const;
  std::vector<double> sent_per_second() const;
  /// Of the frames that counted, the mean: in rx it is the back-end that chooses. None counted: 0.
  double mean_bytes() const;
  /// Shares of the time, 0 to 1, in which the guests had nothing to do: where there is none, they are what is measured.
  std::vector<double> idle() const;
  /// With `latency`, of each round: the longest time in which nothing came.
  std::vector<double> longest_gap_seconds() const;
};

struct SideResult {
  std::string label;
  std::vector<std::string> endpoints;
  std::vector<SizeResult> sizes;
};

struct Report {
  std::vector<SideResult> sides;
  std::vector<LimitResult> limits;  ///< By size: through a bare ring; empty: not asked for.
  bool interrupted = false;
};

/// Of the pairs of rounds of two back-ends: the first one's rate by the second one's.
std::vector<double> ratios(const SizeResult& a, const SizeResult& b);
/// Packets came twice or damaged, or were lost although none may be.
bool is_faulty(const Report& report, const Options& options);

/// What was measured of the migrations, a line a figure: median and quartiles. Empty: there were none.
std::string moves_of(const SizeResult& result);
std::string text_of(const Report& report, const Options& options);
std::string json_of(const Report& report, const Options& options);
Plot plot_of(const Report& report, const Options& options);

}  // namespace vhostx::tools::bench
