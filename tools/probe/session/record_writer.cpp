// SPDX-License-Identifier: BSD-3-Clause
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/probe/session/record.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;

std::string hex_of(const std::vector<std::byte>& bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) fmt::format_to(std::back_inserter(hex), "{:02x}", std::to_integer<unsigned>(byte));
  return hex;
}

Json json_of(const FdFacts& facts) {
  return {{"kind", facts.kind},     {"name", facts.name},   {"bytes", facts.bytes}, {"page_bytes", facts.page_bytes},
          {"device", facts.device}, {"inode", facts.inode}, {"seals", facts.seals}};
}

Json json_of(const Peer& peer) { return {{"pid", peer.pid}, {"program", peer.program}}; }

void add_message(Json& object, const Event& event) {
  object["way"] = name_of(event.way);
  object["request"] = event.header.request;
  object["flags"] = event.header.flags;
  object["size"] = event.header.size;
  object["payload"] = hex_of(event.payload);
  if (event.cut_off) object["cut_off"] = true;
  object["fds"] = Json::array();
  for (const FdFacts& fd : event.fds) object["fds"].push_back(json_of(fd));
}

void add_decoded(Json& object, const Decoded& decoded) {
  object["number"] = decoded.number;
  if (!decoded.name.empty()) object["name"] = decoded.name;
  object["decoded"] = decoded.text;
  if (decoded.answers) object["answers"] = *decoded.answers;
  if (decoded.round_trip) object["round_trip_ns"] = decoded.round_trip->count();
  object["findings"] = Json::array();
  for (const Finding& finding : decoded.findings)
    object["findings"].push_back({{"weight", finding.weight == Finding::Weight::violation ? "violation" : "remark"},
                                  {"text", finding.text},
                                  {"section", finding.section}});
}

// Names of programs and files need not be UTF-8.
std::string line_of(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n'; }

}  // namespace

std::string line_of(const RecordHeader& header) {
  return line_of(Json{{"format", RecordHeader::format},
                      {"version", RecordHeader::version},
                      {"begun", header.begun},
                      {"program", header.program},
                      {"front_end", header.front_end},
                      {"back_end", header.back_end}});
}

std::string line_of(const Event& event, const Decoded* decoded) {
  Json object{{"event", name_of(event.kind)}, {"time_ns", event.time.count()}, {"connection", event.connection}};
  switch (event.kind) {
    case EventKind::message:
      add_message(object, event);
      break;
    case EventKind::opened:
      object["front_end"] = json_of(event.front_end);
      object["back_end"] = json_of(event.back_end);
      break;
    default:
      object["text"] = event.text;
  }
  if (decoded != nullptr) add_decoded(object, *decoded);
  return line_of(object);
}

}  // namespace vhostx::tools::probe
