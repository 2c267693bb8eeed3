// SPDX-License-Identifier: BSD-3-Clause
// ControlRequest: a row for each command.
#include "tools/switch/control_request.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools {
namespace {

using Json = nlohmann::ordered_json;

enum class Field { none, optional, required };

struct RequestRow {
  const char* name;
  ControlCommand command;
  const char* field;
  Field needs;
};
constexpr RequestRow request_rows[]{{"ports", ControlCommand::ports, "", Field::none},
                                    {"add-port", ControlCommand::add_port, "port", Field::required},
                                    {"remove-port", ControlCommand::remove_port, "port", Field::required},
                                    {"disconnect", ControlCommand::disconnect, "port", Field::required},
                                    {"addresses", ControlCommand::addresses, "port", Field::optional},
                                    {"flush-addresses", ControlCommand::flush_addresses, "port", Field::optional},
                                    {"events", ControlCommand::events, "", Field::none},
                                    {"log-level", ControlCommand::log_level, "level", Field::optional},
                                    {"stats", ControlCommand::stats, "", Field::none}};

Error bad_request(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message), 0}; }

std::string command_names() {
  std::string text;
  for (const auto& row : request_rows)
    text += fmt::format("{}{}", text.empty() ? "" : &row == std::end(request_rows) - 1 ? " or " : ", ", row.name);
  return text;
}

Result<const RequestRow*> row_of(const Json& request) {
  const auto command = request.find("command");
  if (command == request.end() || !command->is_string())
    return bad_request(fmt::format("the request has no text \"command\": expected {}", command_names()));
  const auto& name = command->get_ref<const std::string&>();
  const auto* row = std::find_if(std::begin(request_rows), std::end(request_rows),
                                 [&](const RequestRow& one) { return one.name == name; });
  if (row == std::end(request_rows))
    return bad_request(fmt::format("command '{}' is not known: expected {}", name, command_names()));
  return row;
}

Result<std::string> argument_of(const RequestRow& row, const Json& request) {
  const auto field = request.find(row.field);
  if (row.needs == Field::none || field == request.end()) {
    if (row.needs != Field::required) return std::string{};
    return bad_request(fmt::format("{}: expected a field \"{}\"", row.name, row.field));
  }
  const auto* text = field->get_ptr<const std::string*>();
  if (text == nullptr || text->empty() || text->find('\0') != std::string::npos)
    return bad_request(fmt::format("{}: \"{}\" is not a text: expected one that is not empty", row.name, row.field));
  return *text;
}

}  // namespace

Result<ControlRequest> parse_request(std::string_view line) {
  const auto request = Json::parse(line, nullptr, false);
  if (!request.is_object()) return bad_request("expected one JSON object on a line, such as {\"command\": \"ports\"}");
  const auto found = row_of(request);
  if (!found) return found.error();
  const RequestRow& row = **found;
  for (const auto& [key, value] : request.items())
    if (key != "command" && (row.needs == Field::none || key != row.field))
      return bad_request(fmt::format("{}: field \"{}\" is not known", row.name, key));
  auto argument = argument_of(row, request);
  if (!argument) return argument.error();
  return ControlRequest{row.command, *std::move(argument)};
}

std::string request_line(const ControlRequest& request) {
  Json object{{"command", to_string(request.command)}};
  const auto* row = std::find_if(std::begin(request_rows), std::end(request_rows),
                                 [&](const RequestRow& one) { return one.command == request.command; });
  if (!request.argument.empty()) object[row->field] = request.argument;
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* to_string(ControlCommand command) noexcept {
  for (const auto& row : request_rows)
    if (row.command == command) return row.name;
  return "unknown";
}

}  // namespace vhostx::tools
