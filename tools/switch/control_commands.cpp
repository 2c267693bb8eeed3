// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/control_commands.hpp"

#include <exception>

#include <nlohmann/json.hpp>

#include "tools/switch/control_request.hpp"
#include "tools/switch/log_level.hpp"
#include "tools/switch/port_spec.hpp"
#include "tools/switch/report_json.hpp"

namespace vhostx::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// `result` is JSON.
std::string done(const std::string& result) { return "{\"ok\":true,\"result\":" + result + "}"; }
std::string refusal(std::string_view why) { return dump({{"ok", false}, {"error", why}}); }

std::string add_port(ControlledSwitch& target, const std::string& spec) {
  if (auto added = target.add_port(spec); !added) return refusal(added.error().message);
  return done(dump({{"port", spec.substr(0, spec.find(','))}}));
}

std::string remove_port(ControlledSwitch& target, const std::string& name) {
  const auto removed = target.remove_port(name);
  return removed ? done(json_port(*removed)) : refusal(removed.error().message);
}

std::string disconnect(ControlledSwitch& target, const std::string& port) {
  const auto done_so = target.disconnect(port);
  return done_so ? done(dump({{"port", port}})) : refusal(done_so.error().message);
}

std::string addresses(ControlledSwitch& target, const std::string& port) {
  const auto found = target.addresses(port);
  if (!found) return refusal(found.error().message);
  Json list = Json::array();
  for (const auto& address : *found)
    list.push_back({{"address", mac_text(address.mac)}, {"port", address.port}, {"age", address.age_s}});
  return done(dump(list));
}

std::string flush_addresses(ControlledSwitch& target, const std::string& port) {
  const auto flushed = target.flush_addresses(port);
  return flushed ? done(dump({{"flushed", *flushed}})) : refusal(flushed.error().message);
}

std::string log_level(ControlledSwitch& target, const std::string& level) {
  if (!level.empty()) {
    const auto parsed = parse_log_level(level);
    if (!parsed) return refusal(parsed.error().message);
    target.set_log_level(*parsed);
  }
  return done(dump({{"level", to_string(target.log_level())}}));
}

std::string answer(ControlledSwitch& target, const ControlRequest& request) {
  switch (request.command) {
    case ControlCommand::ports:
      return done(json_ports(target.snapshot()));
    case ControlCommand::add_port:
      return add_port(target, request.argument);
    case ControlCommand::remove_port:
      return remove_port(target, request.argument);
    case ControlCommand::disconnect:
      return disconnect(target, request.argument);
    case ControlCommand::addresses:
      return addresses(target, request.argument);
    case ControlCommand::flush_addresses:
      return flush_addresses(target, request.argument);
    case ControlCommand::events:
      return done("{\"events\":\"follow\"}");
    case ControlCommand::log_level:
      return log_level(target, request.argument);
    case ControlCommand::stats:
      return done(json_report("stats", target.snapshot()));
  }
  return refusal("unknown command");
}

}  // namespace

ControlAnswer answer_line(ControlledSwitch& target, std::string_view line) try {
  const auto request = parse_request(line);
  if (!request) return {refusal(request.error().message), false};
  return {answer(target, *request), request->command == ControlCommand::events};
} catch (const std::exception& error) {  // no memory, most likely
  return {refusal(error.what()), false};
}

}  // namespace vhostx::tools
