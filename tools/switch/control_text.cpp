// SPDX-License-Identifier: BSD-3-Clause
// Answers as text. Another version of the switch may have answered: what is missing shows as nothing.
#include "tools/switch/control_text.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools {
namespace {

using Json = nlohmann::ordered_json;
using Out = std::back_insert_iterator<std::string>;

std::uint64_t number(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
std::string text(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
const Json& part(const Json& object, const char* field) {
  static const Json nothing = Json::object();
  const auto found = object.find(field);
  return found != object.end() && found->is_object() ? *found : nothing;
}

std::string state_of(const Json& port) {
  if (text(port, "kind") == "tap") return "tap " + text(port, "link");
  if (!port.value("connected", false)) return "waiting";
  if (const auto broken = number(port, "vrings_broken"); broken != 0) return fmt::format("{} broken", broken);
  return fmt::format("{} rings", number(port, "vrings_started"));
}

/// "8 ring_full, 2 from guest: drop_bad_header"
std::string drops_of(const Json& port) {
  std::string list;
  const auto add = [&list](const char* side, const Json& causes) {
    for (const auto& [cause, count] : causes.items())
      if (count.is_number_unsigned() && count != 0)
        fmt::format_to(Out(list), "{}{} {}{}", list.empty() ? "" : ", ", count.get<std::uint64_t>(), side, cause);
  };
  add("", part(port, "switch_drops"));
  add("from guest: ", part(part(port, "from_guest"), "drops"));
  add("to guest: ", part(part(port, "to_guest"), "drops"));
  return list.empty() ? "-" : list;
}

template <typename Rows>
std::size_t width_of(const Rows& rows, const char* field) {
  std::size_t width = 4;
  for (const auto& row : rows) width = std::max(width, text(row, field).size());
  return width;
}

std::string ports_text(const Json& ports) {
  const auto width = width_of(ports, "name");
  auto table = fmt::format("{:<{}}  {:<10} {:>5} {:>9} {:>14} {:>14}  dropped\n", "port", width, "state", "pairs",
                           "addresses", "from guest", "to guest");
  for (const auto& port : ports) {
    fmt::format_to(Out(table), "{:<{}}  {:<10} {:>5} {:>9} {:>14} {:>14}  {}\n", text(port, "name"), width,
                   state_of(port), number(port, "queue_pairs"), number(port, "stations"),
                   number(part(port, "from_guest"), "packets"), number(part(port, "to_guest"), "packets"),
                   drops_of(port));
    if (const auto error = text(port, "last_error"); !error.empty())
      fmt::format_to(Out(table), "{:<{}}  last error: {}\n", "", width, error);
  }
  return table;
}

std::string addresses_text(const Json& addresses) {
  const auto width = width_of(addresses, "port");
  auto table = fmt::format("{:<17}  {:<{}}  age\n", "address", "port", width);
  for (const auto& one : addresses)
    fmt::format_to(Out(table), "{:<17}  {:<{}}  {} s\n", text(one, "address"), text(one, "port"), width,
                   number(one, "age"));
  return table;
}

std::string stats_text(const Json& stats) {
  const auto ports = stats.find("ports");
  const auto& process = part(stats, "process");
  return fmt::format("after {:.1f} s: {} mbufs in use, {} open descriptors, {} events left out\n{}",
                     stats.value("seconds", 0.0), number(process, "mbufs_in_use"), number(process, "open_fds"),
                     number(process, "events_lost"), ports != stats.end() ? ports_text(*ports) : "");
}

std::string result_text(ControlCommand command, const Json& result) {
  switch (command) {
    case ControlCommand::ports:
      return ports_text(result);
    case ControlCommand::add_port:
      return fmt::format("{}: added\n", text(result, "port"));
    case ControlCommand::remove_port:
      return fmt::format("{}: removed; its last counters:\n{}", text(result, "name"),
                         ports_text(Json::array({result})));
    case ControlCommand::disconnect:
      return fmt::format("{}: front-end disconnected\n", text(result, "port"));
    case ControlCommand::addresses:
      return addresses_text(result);
    case ControlCommand::flush_addresses:
      return fmt::format("{} addresses forgotten\n", number(result, "flushed"));
    case ControlCommand::events:
      return {};
    case ControlCommand::log_level:
      return fmt::format("log level: {}\n", text(result, "level"));
    case ControlCommand::stats:
      return stats_text(result);
  }
  return {};
}

Result<Json> result_of(const std::string& answer) {
  const auto object = Json::parse(answer, nullptr, false);
  const auto ok = object.is_object() ? object.find("ok") : object.end();
  if (!object.is_object() || ok == object.end() || !ok->is_boolean())
    return Error{ErrorCode::protocol_violation, "the answer is not one of vhostx-switch's control socket", 0};
  if (!ok->get<bool>()) return Error{ErrorCode::invalid_argument, text(object, "error"), 0};
  return object.value("result", Json());
}

}  // namespace

Result<std::string> text_of_answer(ControlCommand command, const std::string& answer) try {
  const auto result = result_of(answer);
  if (!result) return result.error();
  return result_text(command, *result);
} catch (const Json::exception& error) {  // a field of another type
  return Error{ErrorCode::protocol_violation, fmt::format("the answer is not as expected: {}", error.what()), 0};
}

Result<std::string> json_of_answer(const std::string& answer) {
  const auto result = result_of(answer);
  if (!result) return result.error();
  return result->dump() + "\n";
}

std::string text_of_event(const std::string& event) {
  const auto object = Json::parse(event, nullptr, false);
  const auto line = object.is_object() ? text(object, "text") : std::string();
  return line.empty() ? event : line;
}

}  // namespace vhostx::tools
