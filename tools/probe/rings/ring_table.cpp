// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_table.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* heading =
    "  ring    size  avail   used  in flight     avail/s      used/s     kicks/s     calls/s  kicks  calls  state";

// ---- text

std::string rate_text(const std::optional<double>& rate, RatesBy by = RatesBy::positions) {
  return rate ? fmt::format("{}{:.0f}", by == RatesBy::moments ? "~" : "", *rate) : "-";
}

/// Where driver and device are, as the ring itself counts.
struct Places {
  std::uint32_t available = 0;
  std::uint32_t used = 0;
};
Places places_of(const RingRow& row) {
  const auto* packed = std::get_if<PackedSample>(&row.sample.layout);
  if (packed == nullptr) return {row.sample.available_position, row.sample.used_position};
  return {packed->next_available, row.sample.used_position % std::max(row.size.value_or(1), 1U)};
}

std::string state_of(const RingRow& row) {
  std::string text = row.started ? row.enabled ? "runs" : "disabled" : "stopped";
  if (row.packed) text += ", packed";
  if (row.logged_at) text += row.logging ? ", logged" : ", to be logged";
  return text;
}

std::string line_of(const RingRow& row) {
  const std::string name = fmt::format("{} {}", row.ring, row.receive ? "rx" : "tx");
  const std::string size = row.size ? fmt::format("{}", *row.size) : "-";
  const RingSample& sample = row.sample;
  if (!sample.ok())
    return fmt::format("{:>7}  {:>5}  {:>5}  {:>5}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}  {:<5}  {:<5}  {}", name,
                       size, "-", "-", "-", "-", "-", rate_text(row.rates.kicks), rate_text(row.rates.calls), "-", "-",
                       state_of(row));
  const Places places = places_of(row);
  return fmt::format("{:>7}  {:>5}  {:>5}  {:>5}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}  {:<5}  {:<5}  {}", name, size,
                     places.available, places.used, fmt::format("{}{}", sample.exact() ? "" : "<=", sample.in_flight),
                     rate_text(row.rates.available, row.rates.by), rate_text(row.rates.used, row.rates.by),
                     rate_text(row.rates.kicks), rate_text(row.rates.calls), sample.kicks_suppressed ? "off" : "on",
                     sample.calls_suppressed ? "off" : "on", state_of(row));
}

void add_row(std::string& text, const RingRow& row, const TextStyle& style) {
  const char* const colour = row.stuck_for ? style.violation() : style.remark();
  const bool coloured = style.colours && !row.notes.empty() && (row.stuck_for || row.started);
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{}{}\n", coloured ? colour : "", line_of(row));
  for (const auto& note : row.notes) fmt::format_to(out, "         {}\n", printable(note));
  if (coloured) text += style.plain();
}

// ---- JSON

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

const char* name_of(RatesBy by) noexcept {
  return by == RatesBy::packets ? "packets" : by == RatesBy::moments ? "moments" : "positions";
}

Json area_json(const EventArea& area) { return {{"flags", area.flags}, {"offset", area.offset}, {"wrap", area.wrap}}; }

Json split_json(const SplitSample& split) {
  return {{"available_flags", split.available_flags}, {"available_index", split.available_index},
          {"used_flags", split.used_flags},           {"used_index", split.used_index},
          {"used_event", or_null(split.used_event)},  {"avail_event", or_null(split.avail_event)}};
}

Json packed_json(const PackedSample& packed, const RingSample& sample, std::uint32_t size) {
  return {{"next_available", packed.next_available},
          {"driver_wrap", packed.driver_wrap},
          {"next_used_at_least", sample.used_position % std::max(size, 1U)},
          {"marked_available", packed.marked_available},
          {"marked_used", packed.marked_used},
          {"driver_events", area_json(packed.driver)},
          {"device_events", area_json(packed.device)}};
}

void add_sample(Json& object, const RingRow& row) {
  const RingSample& sample = row.sample;
  object["in_flight"] = sample.ok() ? Json(sample.in_flight) : Json(nullptr);
  object["in_flight_exact"] = sample.ok() && sample.exact();
  object["kicks_suppressed"] = sample.ok() ? Json(sample.kicks_suppressed) : Json(nullptr);
  object["calls_suppressed"] = sample.ok() ? Json(sample.calls_suppressed) : Json(nullptr);
  object["split"] = nullptr;
  object["packed"] = nullptr;
  if (!sample.ok()) return;
  if (const auto* split = std::get_if<SplitSample>(&sample.layout)) object["split"] = split_json(*split);
  if (const auto* packed = std::get_if<PackedSample>(&sample.layout))
    object["packed"] = packed_json(*packed, sample, row.size.value_or(1));
}

Json row_json(const RingRow& row) {
  Json object{{"connection", row.connection},
              {"name", row.name},
              {"ring", row.ring},
              {"direction", row.receive ? "receive" : "transmit"},
              {"size", or_null(row.size)},
              {"layout", row.packed ? "packed" : "split"},
              {"enabled", row.enabled},
              {"started", row.started},
              {"logged_at", or_null(row.logged_at)}};
  object["problem"] = row.sample.ok() ? Json(nullptr) : Json(row.sample.problem);
  add_sample(object, row);
  object["available_per_s"] = or_null(row.rates.available);
  object["used_per_s"] = or_null(row.rates.used);
  object["rates_by"] = name_of(row.rates.by);
  object["kicks_per_s"] = or_null(row.rates.kicks);
  object["calls_per_s"] = or_null(row.rates.calls);
  object["rates_up_to"] = or_null(row.rates.most);
  object["stuck_s"] = row.stuck_for ? Json(std::chrono::duration<double>(*row.stuck_for).count()) : Json(nullptr);
  object["notes"] = row.notes;
  return object;
}

Json log_json(const LogRow& log) {
  return {{"connection", log.connection},
          {"on", log.on},
          {"size", or_null(log.size)},
          {"offset", or_null(log.offset)},
          {"marked_pages", or_null(log.marked_pages)}};
}

/// The connection's line before its rings, where its guest migrates.
std::string line_of_log(const std::vector<LogRow>& logs, std::uint32_t connection) {
  const auto at =
      std::find_if(logs.begin(), logs.end(), [&](const LogRow& log) { return log.connection == connection; });
  return at == logs.end() ? std::string() : fmt::format("dirty log: {}\n", text_of(*at));
}

}  // namespace

std::string text_of_rings(const std::vector<RingRow>& rows, const TextStyle& style, const std::vector<LogRow>& logs) {
  if (rows.empty()) return "no rings\n";
  std::string text;
  const RingRow* before = nullptr;
  double most = std::numeric_limits<double>::infinity();
  for (const RingRow& row : rows) {
    if (before == nullptr || before->connection != row.connection)
      fmt::format_to(std::back_inserter(text), "{}connection {}{}{}\n{}{}{}\n", before == nullptr ? "" : "\n",
                     row.connection, row.name.empty() ? "" : ": ", printable(row.name),
                     line_of_log(logs, row.connection), style.strong(), std::string(heading) + style.plain());
    add_row(text, row, style);
    most = std::min(most, row.rates.most.value_or(most));
    before = &row;
  }
  if (most < 1e7) fmt::format_to(std::back_inserter(text), "\nrates are right up to {:.0f} a second\n", most);
  return text;
}

std::string json_of_rings(const std::vector<RingRow>& rows, const std::string& source, ProbeTime time,
                          const std::vector<std::string>& remarks, const std::vector<LogRow>& logs) {
  Json object{{"source", source},
              {"time_s", std::chrono::duration<double>(time).count()},
              {"remarks", remarks},
              {"logs", Json::array()},
              {"rings", Json::array()}};
  for (const LogRow& log : logs) object["logs"].push_back(log_json(log));
  for (const RingRow& row : rows) object["rings"].push_back(row_json(row));
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace vhostx::tools::probe
