// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/query/query_report.hpp"

#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "protocol/describe.hpp"
#include "tools/probe/device_kind.hpp"
#include "tools/probe/features/feature_table.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;
std::string mac_of(const NetConfig& config) { return fmt::format("{:02x}", fmt::join(config.mac, ":")); }

// ---- text

template <typename T, typename Show>
void add_answer(std::string& text, const char* title, const Answer<T>& answer, Show show) {
  const std::string value = !answer.asked ? "not offered" : answer.value ? show(*answer.value) : answer.problem;
  fmt::format_to(std::back_inserter(text), "{:<15} {}\n", title, value);
}

std::string decimal(std::uint64_t value) { return fmt::format("{}", value); }
std::string status_words(std::uint64_t value) {
  return fmt::format("{:#04x} ({})", value, protocol::describe_status(value));
}
/// VIRTIO 1.2, 5.1.4.
std::string link_words(std::uint16_t status) {
  return fmt::format("link {}{}", (status & 1) != 0 ? "up" : "down", (status & 2) != 0 ? ", announce" : "");
}
std::string hex_of(const ConfigSpace& space) {
  std::string text;
  for (const std::byte byte : space.bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<int>(byte));
  return text;
}
std::string net_config_line(const ConfigSpace& space) {
  const NetConfig config = space.as_net();
  return fmt::format("MAC {}, status {:#06x} ({}), {} queue pairs, MTU {}", mac_of(config), config.status,
                     link_words(config.status), config.queue_pairs_max, config.mtu);
}

// ---- JSON

template <typename T, typename Convert>
void set_answer(Json& object, const char* key, const Answer<T>& answer, Convert convert) {
  object[key] = answer.value ? Json(convert(*answer.value)) : Json(nullptr);
  if (!answer.problem.empty()) object["problems"][key] = answer.problem;
}

Json net_config_json(const ConfigSpace& space) {
  const NetConfig config = space.as_net();
  return {{"mac", mac_of(config)},
          {"status", config.status},
          {"queue_pairs_max", config.queue_pairs_max},
          {"mtu", config.mtu}};
}

}  // namespace

std::string text_of(const std::string& path, const BackEndFacts& facts) {
  std::string text = path + "\n\n";
  if (!facts.net)
    text +=
        "device: not a network device, by what it offers. Bits below 24 and from 50 on are its own: they have no names "
        "here.\n\n";
  text += text_of_bits("features", facts.features.bits(), virtio_names(facts.net));
  text += '\n';
  if (facts.protocol_features.value)
    text +=
        text_of_bits("protocol features", facts.protocol_features.value->bits(), protocol::protocol_feature_names());
  else
    text += "protocol features: " + (facts.protocol_features.asked ? facts.protocol_features.problem : "not offered") +
            '\n';
  text += '\n';
  const auto offered = facts.protocol_features.value.value_or(protocol::ProtocolFeatureSet());
  add_answer(text, facts.net ? "queue pairs" : "queues", facts.queue_pairs, decimal);
  add_answer(text, "memory slots", facts.memory_slots, decimal);
  add_answer(text, "status", facts.status, status_words);
  add_answer(text, "config space", facts.config, facts.net ? net_config_line : hex_of);
  fmt::format_to(std::back_inserter(text), "{:<15} {}\n", "in-flight",
                 offered.has(protocol::ProtocolFeature::inflight_shmfd) ? "offered" : "not offered");
  for (const auto& finding : facts.findings) text += "note: " + finding + '\n';
  return text;
}

std::string json_of(const std::string& path, const BackEndFacts& facts) {
  Json object{{"socket", path},
              {"device", facts.net ? "net" : "other"},
              {"features", json_of_bits(facts.features.bits(), virtio_names(facts.net))}};
  object["problems"] = Json::object();
  set_answer(object, "protocol_features", facts.protocol_features, [](protocol::ProtocolFeatureSet set) {
    return json_of_bits(set.bits(), protocol::protocol_feature_names());
  });
  const auto same = [](std::uint64_t value) { return value; };
  set_answer(object, "queue_pairs", facts.queue_pairs, same);
  set_answer(object, "memory_slots", facts.memory_slots, same);
  set_answer(object, "status", facts.status, same);
  if (facts.net)
    set_answer(object, "config", facts.config, net_config_json);
  else
    set_answer(object, "config", facts.config, [](const ConfigSpace& space) { return Json{{"bytes", hex_of(space)}}; });
  object["notes"] = facts.findings;
  // A socket may have a name that is no UTF-8.
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace vhostx::tools::probe
