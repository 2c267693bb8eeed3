// SPDX-License-Identifier: BSD-3-Clause
// The report for programs.
#include <nlohmann/json.hpp>

#include "tools/bench/report.hpp"

namespace vhostx::tools::bench {
namespace {

using Json = nlohmann::ordered_json;

Json spread_json(const std::vector<double>& values) {
  const Spread spread = spread_of(values);
  return {{"median", spread.median}, {"quartiles", {spread.low, spread.high}}, {"rounds", values}};
}

Json counts_json(const Counts& counts) {
  return {{"sent", counts.sent}, {"taken", counts.taken},           {"received", counts.received},
          {"lost", counts.lost}, {"duplicated", counts.duplicated}, {"reordered", counts.reordered},
          {"late", counts.late}, {"damaged", counts.damaged},       {"foreign", counts.foreign}};
}

Json latency_json(const LatencyHistogram& times) {
  Json buckets = Json::array();
  times.for_each_bucket([&](std::uint64_t low, std::uint64_t high, std::uint64_t count) {
    buckets.push_back({low, high, count});
  });
  return {{"count", times.count()},         {"min_ns", times.min()},
          {"mean_ns", times.mean()},        {"p50_ns", times.percentile(50)},
          {"p99_ns", times.percentile(99)}, {"p999_ns", times.percentile(99.9)},
          {"max_ns", times.max()},          {"buckets", buckets}};
}

Json moves_json(const std::vector<Move>& moves) {
  Json all = Json::array();
  for (const Move& move : moves)
    all.push_back({{"gap_s", move.gap_seconds},
                   {"stop_s", move.stop_seconds},
                   {"copy_s", move.copy_seconds},
                   {"start_s", move.start_seconds},
                   {"first_packet_s", move.first_packet_seconds},
                   {"back_end_s", move.back_end_seconds()},
                   {"lost", move.lost},
                   {"cost_of_log", move.cost_of_log()},
                   {"dirty_pages_per_second", move.dirty_pages_per_second},
                   {"pages_in_all", move.pages_in_all},
                   {"pages_at_stop", move.pages_at_stop}});
  return all;
}

Json size_json(const SizeResult& size) {
  Json json{{"frame_bytes", size.frame_bytes}};
  if (!size.impossible.empty()) {
    json["not_possible"] = size.impossible;
    return json;
  }
  json["mean_frame_bytes"] = size.mean_bytes();
  json["packets_per_second"] = spread_json(size.packets_per_second());
  json["bits_per_second"] = spread_json(size.bits_per_second());
  json["sent_per_second"] = spread_json(size.sent_per_second());
  json["guests_idle"] = spread_json(size.idle());
  json["counts"] = counts_json(size.counts);
  if (size.latency) {
    json["latency"] = latency_json(*size.latency);
    json["longest_gap_s"] = spread_json(size.longest_gap_seconds());
  }
  if (!size.moves.empty()) json["migrations"] = moves_json(size.moves);
  return json;
}

Json side_json(const SideResult& side) {
  Json sizes = Json::array();
  for (const auto& size : side.sizes) sizes.push_back(size_json(size));
  return {{"label", side.label}, {"endpoints", side.endpoints}, {"sizes", sizes}};
}

}  // namespace

std::string json_of(const Report& report, const Options& options) {
  Json sides = Json::array();
  for (const auto& side : report.sides) sides.push_back(side_json(side));
  Json json{{"mode", to_string(options.mode)},
            {"rounds", options.rounds},
            {"duration_s", options.duration_s},
            {"burst", options.burst},
            {"ring_size", options.guest.ring_size},
            {"packed", options.guest.packed},
            {"queue_pairs", options.guest.queue_pairs},
            {"interrupted", report.interrupted},
            {"back_ends", sides}};
  if (options.rate_pps > 0) json["rate_asked"] = options.rate_pps;
  if (report.sides.size() == 2) {
    Json all = Json::array();
    for (std::size_t i = 0; i < report.sides[0].sizes.size() && i < report.sides[1].sizes.size(); ++i) {
      Json one{{"frame_bytes", report.sides[0].sizes[i].frame_bytes}};
      one.update(spread_json(ratios(report.sides[0].sizes[i], report.sides[1].sizes[i])));
      all.push_back(one);
    }
    json["ratios"] = all;
  }
  if (!report.limits.empty()) {
    Json limits = Json::array();
    for (const LimitResult& limit : report.limits) {
      limits.push_back(spread_json(limit.pps));
      limits.back()["cpu_share"] = limit.cpu_share;
    }
    json["limits_packets_per_second"] = limits;
  }
  return json.dump() + "\n";
}

}  // namespace vhostx::tools::bench
