// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/keeper/keeper_report.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/peer_process.hpp"
#include "protocol/features.hpp"
#include "tools/probe/features/feature_table.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/session/event_text.hpp"

namespace vhostx::tools::probe {
namespace {

using continuity::BundleFacts;
using continuity::KickKind;
using continuity::RingState;
using continuity::SessionState;
using Json = nlohmann::ordered_json;
using Row = std::array<std::string, 5>;

bool has_front_end(const BundleFacts& bundle) {
  return !bundle.slots.empty() && bundle.slots.front() == continuity::front_end_slot;
}

/// "0.250 s", "12 s", "3 min 20 s", "5 h 3 min", "2 d 4 h"
std::string duration(std::uint64_t ms) {
  const std::uint64_t s = ms / 1000;
  if (s < 10) return fmt::format("{}.{:03} s", s, ms % 1000);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

/// "2 of 2 run"
std::string rings(const KeptPort& port) {
  if (!port.record) return port.problem.empty() ? "no record" : "unreadable";
  const auto& [limits, state, has_message] = *port.record;
  const auto count = std::count_if(state.rings.begin(), state.rings.end(),
                                   [&state = state](const RingState& ring) { return runs(state, ring); });
  return fmt::format("{} of {} run{}", count, state.rings.size(), has_message ? ", a message in work" : "");
}

std::string process(std::uint32_t pid) { return printable(describe_process(static_cast<int>(pid))); }

std::string owner(const BundleFacts& bundle) {
  if (bundle.owned) return fmt::format("{}, for {}", process(bundle.owner_pid), duration(bundle.owner_ms));
  return fmt::format("nobody for {}; dropped in {}", duration(bundle.owner_ms), duration(bundle.grace_ms));
}

Row row_of(const KeptPort& port) {
  const BundleFacts& bundle = port.bundle;
  const bool has = has_front_end(bundle);
  return {printable(bundle.name), has ? process(bundle.front_end_pid) : "none",
          has ? duration(bundle.front_end_ms) : "-", rings(port), owner(bundle)};
}

Json process_json(std::uint32_t pid) {
  return {{"pid", pid == 0 ? Json(nullptr) : Json(pid)},
          {"program", pid == 0 ? Json(nullptr) : Json(program_of(static_cast<int>(pid)))}};
}

double seconds(std::uint64_t ms) { return static_cast<double>(ms) / 1000; }

const char* kick_word(KickKind kind) noexcept {
  switch (kind) {
    case KickKind::unarmed:
      return "none";
    case KickKind::descriptor:
      return "eventfd";
    case KickKind::polled:
      return "polled";
    case KickKind::in_band:
      return "in_band";
  }
  return "unknown";
}

Json ring_json(const KeptPort& port, std::size_t index) {
  const SessionState& state = port.record->state;
  const RingState& ring = state.rings[index];
  return {{"ring", index},
          {"size", ring.size},
          {"enabled", is_enabled(state, ring)},
          {"started", is_started(ring)},
          {"base", ring.base},
          {"used_index", port.used[index] ? Json(*port.used[index]) : Json(nullptr)},
          {"kick", kick_word(ring.kick_kind)},
          {"call", ring.call != 0}};
}

Json record_json(const KeptPort& port) {
  if (!port.record) return nullptr;
  const SessionState& state = port.record->state;
  Json object{{"message_in_work", port.record->has_message}, {"features", nullptr}, {"protocol_features", nullptr}};
  if (state.features_set != 0) object["features"] = json_of_bits(state.features, protocol::virtio_feature_names());
  if (state.protocol_features_set != 0)
    object["protocol_features"] = json_of_bits(state.protocol_features, protocol::protocol_feature_names());
  std::uint64_t bytes = 0;
  for (const auto& region : state.regions) bytes += region.region.size;
  object["memory"] = {{"regions", state.regions.size()}, {"bytes", bytes}};
  object["rings"] = Json::array();
  for (std::size_t i = 0; i < state.rings.size(); ++i) object["rings"].push_back(ring_json(port, i));
  return object;
}

Json json_of_port(const KeptPort& port) {
  const BundleFacts& bundle = port.bundle;
  Json object{{"name", bundle.name}, {"slots", bundle.slots}};
  object["front_end"] = has_front_end(bundle) ? process_json(bundle.front_end_pid) : Json(nullptr);
  object["front_end_seconds"] = has_front_end(bundle) ? Json(seconds(bundle.front_end_ms)) : Json(nullptr);
  object["owner"] = bundle.owned ? process_json(bundle.owner_pid) : Json(nullptr);
  object["owner_seconds"] = bundle.owned ? Json(seconds(bundle.owner_ms)) : Json(nullptr);
  object["without_owner_seconds"] = bundle.owned ? Json(nullptr) : Json(seconds(bundle.owner_ms));
  object["grace_seconds"] = bundle.owned ? Json(nullptr) : Json(seconds(bundle.grace_ms));
  object["record"] = record_json(port);
  object["record_problem"] = port.problem.empty() ? Json(nullptr) : Json(port.problem);
  return object;
}

}  // namespace

std::string text_of(const std::string& path, const std::vector<KeptPort>& ports) {
  std::vector<Row> rows{{"port", "front-end", "connected", "rings", "owner"}};
  std::transform(ports.begin(), ports.end(), std::back_inserter(rows), row_of);
  std::string text = fmt::format("{}: {} bundle{}\n", path, ports.size(), ports.size() == 1 ? "" : "s");
  if (ports.empty()) return text;
  std::array<std::size_t, 5> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  widths.back() = 0;  // nothing follows
  for (const auto& row : rows) {
    text += '\n';
    for (std::size_t i = 0; i < row.size(); ++i) text += fmt::format("{}{:<{}}", i == 0 ? "" : "  ", row[i], widths[i]);
  }
  text += '\n';
  for (const auto& port : ports)
    if (!port.problem.empty())
      text += fmt::format("\nrings of {}: {}\n", printable(port.bundle.name), printable(port.problem));
  return text;
}

std::string json_of(const std::string& path, const std::vector<KeptPort>& ports) {
  Json all = Json::array();
  for (const auto& port : ports) all.push_back(json_of_port(port));
  const Json object{{"keeper", path}, {"bundles", all}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace vhostx::tools::probe
