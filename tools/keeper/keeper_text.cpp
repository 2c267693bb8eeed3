// SPDX-License-Identifier: BSD-3-Clause
#include "tools/keeper/keeper_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/peer_process.hpp"

namespace vhostx::tools::keeper {
namespace {

using Json = nlohmann::ordered_json;
using Kind = continuity::KeeperEvent::Kind;

std::string line_of(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

// Clients choose names; they give a terminal no commands.
std::string printable(std::string text) {
  for (char& byte : text)
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) byte = '?';
  return text;
}

std::string words_of(const continuity::KeeperEvent& event) {
  const auto name = printable(event.name);
  const auto process = [&event] { return describe_process(static_cast<int>(event.pid)); };
  switch (event.kind) {
    case Kind::connected:
      return fmt::format("client connected: {}", process());
    case Kind::ended:
      return fmt::format("client's connection ended: {}: {}", process(), event.reason);
    case Kind::claimed:
      return fmt::format("{}: claimed by {}", name, process());
    case Kind::released:
      return fmt::format("{}: without an owner: {}", name, event.reason);
    case Kind::dropped:
      return fmt::format("{}: dropped: {}", name, event.reason);
  }
  return {};
}

}  // namespace

std::string ready_line(const Options& options, std::uint32_t descriptors_max) {
  const double grace_s = static_cast<double>(options.grace.count()) / 1000;
  if (options.json)
    return line_of({{"event", "ready"},
                    {"socket", options.path},
                    {"grace_seconds", grace_s},
                    {"descriptors_max", descriptors_max}});
  return fmt::format("vhostx-keeper: ready at {}, holds up to {} descriptors, {} s without an owner; Ctrl-C ends it\n",
                     printable(options.path), descriptors_max, grace_s);
}

std::string event_line(const continuity::KeeperEvent& event, std::chrono::duration<double> since_start, bool json) {
  if (!json) return fmt::format("{:>9.3f}  {}\n", since_start.count(), words_of(event));
  Json object{{"event", to_string(event.kind)}, {"seconds", since_start.count()}};
  if (!event.name.empty()) object["name"] = event.name;
  if (event.kind != Kind::dropped) object["pid"] = event.pid == 0 ? Json(nullptr) : Json(event.pid);
  if (!event.reason.empty()) object["reason"] = event.reason;
  return line_of(object);
}

std::string end_line(std::size_t bundles, bool json) {
  if (json) return line_of({{"event", "end"}, {"bundles", bundles}});
  return bundles == 0 ? "vhostx-keeper: ends\n" : fmt::format("vhostx-keeper: ends; {} bundles are dropped\n", bundles);
}

std::string lines_lost(std::uint64_t lines, bool json) {
  if (json) return line_of({{"event", "lines_left_out"}, {"lines", lines}});
  return fmt::format("vhostx-keeper: {} lines left out\n", lines);
}

}  // namespace vhostx::tools::keeper
