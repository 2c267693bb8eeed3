// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/state_text.hpp"

#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "protocol/describe.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;

template <typename Set>
void add_features(std::string& text, const char* title, const std::optional<Set>& offered,
                  const std::optional<Set>& accepted) {
  auto out = std::back_inserter(text);
  if (!offered && !accepted) return;
  if (!accepted) {
    fmt::format_to(out, "  {}: nothing chosen yet of {}\n", title, to_string(*offered));
    return;
  }
  fmt::format_to(out, "  {}: {}\n", title, to_string(*accepted));
  if (offered && !offered->without(*accepted).empty())
    fmt::format_to(out, "    offered and not chosen: {}\n", to_string(offered->without(*accepted)));
}

void add_regions(std::string& text, const SessionState& state, const NodesOf& nodes, const TextStyle& style) {
  auto out = std::back_inserter(text);
  if (state.regions.empty()) return;
  fmt::format_to(out, "  {}{:>6}  {:<18} {:>12}  {:<18} {:>12}  {}{}\n", style.strong(), "region", "guest address",
                 "size", "front-end address", "offset", "file", style.plain());
  for (std::size_t i = 0; i < state.regions.size(); ++i) {
    const RegionView& view = state.regions[i];
    const std::string where = nodes ? nodes(view) : std::string();
    fmt::format_to(out, "  {:>6}  {:<#18x} {:>12}  {:<#18x} {:>#12x}  {}{}{}\n", i, view.region.guest_address,
                   text_of_bytes(view.region.size), view.region.front_end_address, view.region.mmap_offset,
                   printable(text_of(view.file)), where.empty() ? "" : "; ", where);
  }
}

std::string place_of(const SessionState& state, std::uint64_t address) {
  const RegionView* const region = find_region(state, address, 1);
  return fmt::format("{:#x} ({})", address,
                     region == nullptr ? std::string("no region") : fmt::format("{}", region - state.regions.data()));
}

std::string base_of(const SessionState& state, const RingView& ring) {
  return ring.base ? text_of_base(is_packed(state), *ring.base) : std::string("-");
}

std::string text_or_dash(const std::optional<std::uint32_t>& value) {
  return value ? fmt::format("{}", *value) : std::string("-");
}

std::string descriptors_of(const RingView& ring) {
  std::string text = ring.kick ? "kick" : ring.kick_given ? "polled" : "";
  if (ring.call) text += text.empty() ? "call" : " call";
  if (ring.err) text += text.empty() ? "err" : " err";
  return text.empty() ? "-" : text;
}

std::string log_of(const SessionState& state, const RingView& ring) {
  const char* const what = area_kinds(is_packed(state), 0)[2].name;
  if (!is_logged(ring)) return is_logging(state) ? fmt::format(", {} not logged", what) : std::string();
  return fmt::format(", {} logged at guest address {:#x}", what, ring.addresses->log);
}

// SET_VRING_KICK starts a ring by the text of 2026, the first kick by the older one; nothing says which the back-end
// keeps to.
const char* state_of(const RingView& ring) {
  if (ring.stopped) return "stopped";
  return ring.kick ? "started, or once kicked" : "started";
}

void add_rings(std::string& text, const SessionState& state, const TextStyle& style) {
  auto out = std::back_inserter(text);
  if (state.rings.empty()) return;
  const bool packed = is_packed(state);
  const int base_width = packed ? 43 : 6;  // "available 32767 wrap 1, used 32767 wrap 1"
  fmt::format_to(out, "  {}{:>6} {:>6} {:>{}}  {:<24} {:<24} {:<24} {:<16} {}{}\n", style.strong(), "vring", "size",
                 "base", base_width, packed ? "descriptor ring (region)" : "descriptors (region)",
                 packed ? "driver event" : "available", packed ? "device event" : "used", "notified by", "state",
                 style.plain());
  for (const auto& [index, ring] : state.rings) {
    const bool placed = ring.addresses.has_value();
    fmt::format_to(out, "  {:>6} {:>6} {:>{}}  {:<24} {:<24} {:<24} {:<16} {}, {}{}\n", index, text_or_dash(ring.size),
                   base_of(state, ring), base_width, placed ? place_of(state, ring.addresses->descriptor) : "-",
                   placed ? place_of(state, ring.addresses->available) : "-",
                   placed ? place_of(state, ring.addresses->used) : "-", descriptors_of(ring), state_of(ring),
                   ring.enabled ? "enabled" : "disabled", log_of(state, ring));
  }
}

// ---- JSON

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <typename Set>
Json bits_or_null(const std::optional<Set>& set) {
  return set ? Json{{"bits", fmt::format("{:#x}", set->bits())}, {"text", to_string(*set)}} : Json(nullptr);
}

Json json_of(const RegionView& view, const NodesOf& nodes) {
  Json object{{"guest_address", view.region.guest_address},
              {"size", view.region.size},
              {"front_end_address", view.region.front_end_address},
              {"mmap_offset", view.region.mmap_offset},
              {"file", text_of(view.file)}};
  object["nodes"] = nodes ? nodes(view) : std::string();
  return object;
}

Json packed_base_of(const SessionState& state, const RingView& ring) {
  if (!is_packed(state) || !ring.base) return nullptr;
  const PackedBase base{*ring.base};
  return {{"available", base.available()},
          {"available_wrap", base.available_wrap()},
          {"used", base.has_used() ? Json(base.used()) : Json(nullptr)},
          {"used_wrap", base.has_used() ? Json(base.used_wrap()) : Json(nullptr)}};
}

Json json_of(const SessionState& state, std::uint32_t index, const RingView& ring) {
  Json object{{"vring", index},
              {"size", or_null(ring.size)},
              {"base", or_null(ring.base)},
              {"packed_base", packed_base_of(state, ring)},
              {"addresses", nullptr},
              {"kick", ring.kick},
              {"polled", ring.kick_given && !ring.kick},
              {"call", ring.call},
              {"err", ring.err},
              {"enabled", ring.enabled},
              {"stopped", ring.stopped},
              {"log", is_logged(ring) ? Json(ring.addresses->log) : Json(nullptr)}};
  if (ring.addresses)
    object["addresses"] = {{"descriptors", ring.addresses->descriptor},
                           {"available", ring.addresses->available},
                           {"used", ring.addresses->used}};
  return object;
}

Json json_of_log(const SessionState& state) {
  if (!is_logging(state) && !state.log) return nullptr;
  Json object{{"on", is_logging(state)}, {"size", nullptr}, {"mmap_offset", nullptr}, {"file", nullptr}};
  if (state.log) {
    object["size"] = state.log->where.mmap_size;
    object["mmap_offset"] = state.log->where.mmap_offset;
    object["file"] = text_of(state.log->file);
  }
  object["signal"] = state.log_signal;
  return object;
}

Json json_of(const DeviceStateView& view) {
  return {{"direction", view.what.direction},
          {"phase", view.what.phase},
          {"error", or_null(view.error)},
          {"result", or_null(view.result)},
          {"text", text_of(view)}};
}

}  // namespace

std::string text_of(const SessionState& state, const NodesOf& nodes, const TextStyle& style) {
  std::string text;
  add_features(text, "features", state.features_offered, state.features);
  add_features(text, "protocol features", state.protocol_features_offered, state.protocol_features);
  if (state.status) text += fmt::format("  device status: {:#x} ({})\n", *state.status, describe_status(*state.status));
  if (is_logging(state) || state.log) text += fmt::format("  dirty log: {}\n", printable(text_of_log(state)));
  if (state.device_state) text += fmt::format("  device state: {}\n", text_of(*state.device_state));
  add_regions(text, state, nodes, style);
  add_rings(text, state, style);
  return text;
}

std::string json_of(const SessionState& state, const NodesOf& nodes) {
  Json object{{"features_offered", bits_or_null(state.features_offered)},
              {"features", bits_or_null(state.features)},
              {"protocol_features_offered", bits_or_null(state.protocol_features_offered)},
              {"protocol_features", bits_or_null(state.protocol_features)},
              {"queue_pairs", or_null(state.queue_pairs)},
              {"memory_slots", or_null(state.memory_slots)},
              {"status", or_null(state.status)},
              {"log", json_of_log(state)},
              {"device_state", state.device_state ? json_of(*state.device_state) : Json(nullptr)},
              {"regions", Json::array()},
              {"vrings", Json::array()}};
  for (const RegionView& view : state.regions) object["regions"].push_back(json_of(view, nodes));
  for (const auto& [index, ring] : state.rings) object["vrings"].push_back(json_of(state, index, ring));
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vhostx::tools::probe
