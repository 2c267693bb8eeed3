// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/keeper/keeper_report.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/peer_process.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/session/event_text.hpp"

namespace vhostx::tools::probe {
namespace {

using continuity::BundleFacts;
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

/// "5: 0-3,17"
std::string slots(const BundleFacts& bundle) {
  std::string text = fmt::format("{}", bundle.slots.size());
  const auto& all = bundle.slots;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    for (end = begin + 1; end < all.size() && all[end] == all[end - 1] + 1;) ++end;
    text += begin == 0 ? ": " : ",";
    text += end == begin + 1 ? fmt::format("{}", all[begin]) : fmt::format("{}-{}", all[begin], all[end - 1]);
  }
  return text;
}

std::string process(std::uint32_t pid) { return printable(describe_process(static_cast<int>(pid))); }

std::string owner(const BundleFacts& bundle) {
  if (bundle.owned) return fmt::format("{}, for {}", process(bundle.owner_pid), duration(bundle.owner_ms));
  return fmt::format("nobody for {}; dropped in {}", duration(bundle.owner_ms), duration(bundle.grace_ms));
}

Row row_of(const BundleFacts& bundle) {
  const bool has = has_front_end(bundle);
  return {printable(bundle.name), has ? process(bundle.front_end_pid) : "none",
          has ? duration(bundle.front_end_ms) : "-", slots(bundle), owner(bundle)};
}

Json process_json(std::uint32_t pid) {
  return {{"pid", pid == 0 ? Json(nullptr) : Json(pid)},
          {"program", pid == 0 ? Json(nullptr) : Json(program_of(static_cast<int>(pid)))}};
}

double seconds(std::uint64_t ms) { return static_cast<double>(ms) / 1000; }

Json json_of_bundle(const BundleFacts& bundle) {
  Json object{{"name", bundle.name}, {"slots", bundle.slots}};
  object["front_end"] = has_front_end(bundle) ? process_json(bundle.front_end_pid) : Json(nullptr);
  object["front_end_seconds"] = has_front_end(bundle) ? Json(seconds(bundle.front_end_ms)) : Json(nullptr);
  object["owner"] = bundle.owned ? process_json(bundle.owner_pid) : Json(nullptr);
  object["owner_seconds"] = bundle.owned ? Json(seconds(bundle.owner_ms)) : Json(nullptr);
  object["without_owner_seconds"] = bundle.owned ? Json(nullptr) : Json(seconds(bundle.owner_ms));
  object["grace_seconds"] = bundle.owned ? Json(nullptr) : Json(seconds(bundle.grace_ms));
  return object;
}

}  // namespace

std::string text_of(const std::string& path, const std::vector<BundleFacts>& bundles) {
  std::vector<Row> rows{{"port", "front-end", "connected", "slots", "owner"}};
  std::transform(bundles.begin(), bundles.end(), std::back_inserter(rows), row_of);
  std::string text = fmt::format("{}: {} bundle{}\n", path, bundles.size(), bundles.size() == 1 ? "" : "s");
  if (bundles.empty()) return text;
  std::array<std::size_t, 5> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  widths.back() = 0;  // nothing follows
  for (const auto& row : rows) {
    text += '\n';
    for (std::size_t i = 0; i < row.size(); ++i) text += fmt::format("{}{:<{}}", i == 0 ? "" : "  ", row[i], widths[i]);
  }
  return text + '\n';
}

std::string json_of(const std::string& path, const std::vector<BundleFacts>& bundles) {
  Json all = Json::array();
  for (const auto& bundle : bundles) all.push_back(json_of_bundle(bundle));
  const Json object{{"keeper", path}, {"bundles", all}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace vhostx::tools::probe
