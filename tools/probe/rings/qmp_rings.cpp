// SPDX-License-Identifier: BSD-3-Clause
// The commands are marked unstable by QEMU, and the peer may be anything: each field is asked for by type.
#include "tools/probe/rings/qmp_rings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = QmpClient::Json;
using protocol::VirtioFeature;

constexpr std::size_t devices_max = 256;
constexpr std::uint64_t queues_max = 256;
/// The newest QEMU of those that x-query-virtio-status was tried with. Its kind is marked unstable: it is asked of no
/// other.
constexpr std::pair status_version_max{10U, 0U};

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto at = object.find(key);
  return at == object.end() ? nullptr : &*at;
}

std::string text_at(const Json& object, const char* key) {
  const Json* const value = find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::uint64_t number_at(const Json& object, const char* key) {
  const Json* const value = find(object, key);
  return value != nullptr && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
}

bool is_command_failure(const Error& error) { return error.code == ErrorCode::unsupported; }

/// Of those bits that decide how a ring is read, the ones that were negotiated. QEMU gives "NAME: what it means".
protocol::FeatureSet features_in(const Json& status) {
  protocol::FeatureSet features;
  const Json* const negotiated = find(status, "guest-features");
  if (negotiated == nullptr) return features;
  for (const char* group : {"transports", "dev-features"}) {
    const Json* const lines = find(*negotiated, group);
    if (lines == nullptr || !lines->is_array()) continue;
    for (const Json& line : *lines) {
      if (!line.is_string()) continue;
      const auto& text = line.get_ref<const std::string&>();
      const auto name = text.substr(0, text.find(':'));
      if (name == "VIRTIO_RING_F_EVENT_IDX") features.set(VirtioFeature::event_idx);
      if (name == "VIRTIO_F_RING_PACKED") features.set(VirtioFeature::ring_packed);
    }
  }
  return features;
}

/// Host address of a guest address; 0: QEMU has none. The monitor for people is the only one that knows: "Host virtual
/// address for 0x1000 (ram) is 0x7f0000001000".
Result<std::uint64_t> host_address(QmpClient& qmp, std::uint64_t guest_address) {
  const auto said =
      qmp.execute("human-monitor-command", {{"command-line", fmt::format("gpa2hva {:#x}", guest_address)}});
  if (!said && is_command_failure(said.error())) return std::uint64_t{0};
  if (!said) return said.error();
  const std::string text = said->is_string() ? said->get<std::string>() : std::string();
  const auto at = text.rfind(" is 0x");
  std::uint64_t address = 0;
  if (at != std::string::npos) std::from_chars(text.data() + at + 6, text.data() + text.size(), address, 16);
  return address;
}

/// Of a queue that QEMU knows by its guest addresses only: under these keys, descriptors first.
Result<std::optional<RingAddresses>> translate(QmpClient& qmp, const Json& queue, std::array<const char*, 3> keys) {
  RingAddresses addresses;
  const std::array places{&addresses.descriptor, &addresses.available, &addresses.used};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto found = host_address(qmp, number_at(queue, keys[i]));
    if (!found) return found.error();
    if (*found == 0) return std::optional<RingAddresses>();
    *places[i] = *found;
  }
  return std::optional(addresses);
}

RingFacts ring_of(std::uint64_t index, std::uint64_t size, std::optional<RingAddresses> addresses) {
  RingFacts ring;
  ring.index = static_cast<std::uint32_t>(index);
  ring.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, UINT32_MAX));
  ring.enabled = ring.started = true;
  ring.addresses = addresses;
  if (!addresses) ring.problem = "QEMU does not say where it is";
  return ring;
}

/// Of several queue pairs QEMU's vhost status has the first: the others are devices of their own to it. False: there is
/// no such queue.
Result<bool> ask_other_ring(QmpClient& qmp, const Json& which, std::uint64_t index, ConnectionFacts& facts) {
  const auto queue = qmp.execute("x-query-virtio-queue-status", which);
  if (!queue && is_command_failure(queue.error())) return false;
  if (!queue) return queue.error();
  if (number_at(*queue, "vring-desc") == 0) return true;
  const auto addresses = translate(qmp, *queue, {"vring-desc", "vring-avail", "vring-used"});
  if (!addresses) return addresses.error();
  facts.rings.push_back(ring_of(index, number_at(*queue, "vring-num"), *addresses));
  return true;
}

/// Since 11 without those of QEMU's process.
Result<std::optional<RingAddresses>> vhost_addresses(QmpClient& qmp, const Json& queue) {
  if (find(queue, "desc") == nullptr) return translate(qmp, queue, {"desc-phys", "avail-phys", "used-phys"});
  return std::optional(RingAddresses{number_at(queue, "desc"), number_at(queue, "avail"), number_at(queue, "used")});
}

/// Adds the ring, if the driver has set it up. False: there is no such queue, or no vhost device.
Result<bool> ask_ring(QmpClient& qmp, const std::string& path, std::uint64_t index, ConnectionFacts& facts) {
  const Json which{{"path", path}, {"queue", index}};
  const auto queue = qmp.execute("x-query-virtio-vhost-queue-status", which);
  if (!queue && !is_command_failure(queue.error())) return queue.error();
  if (!queue) {
    // The words by which it says that asking for the other status sends nothing to the back-end.
    const bool harmless = queue.error().message.find("Invalid vhost virtqueue number") != std::string::npos;
    return harmless ? ask_other_ring(qmp, which, index, facts) : Result<bool>(false);
  }
  if (number_at(*queue, "desc-phys") == 0) return true;
  const auto addresses = vhost_addresses(qmp, *queue);
  if (!addresses) return addresses.error();
  facts.rings.push_back(ring_of(index, number_at(*queue, "num"), *addresses));
  return true;
}

/// Adds the rings. A network device's queues are pairs, then the control queue, which is QEMU's own
/// (VIRTIO 1.2, 5.1.2).
Result<void> ask_rings_of(QmpClient& qmp, const std::string& path, ConnectionFacts& facts) {
  std::uint64_t index = 0;
  for (; index < queues_max; ++index) {
    const auto there = ask_ring(qmp, path, index, facts);
    if (!there) return there.error();
    if (!*there) break;
  }
  if (facts.network && index % 2 == 1 && !facts.rings.empty() && facts.rings.back().index == index - 1)
    facts.rings.pop_back();
  return {};
}

/// What the driver has taken. Nothing: QEMU's own device, or no driver has started it.
Result<std::optional<protocol::FeatureSet>> negotiated_features(QmpClient& qmp, const std::string& path) {
  const auto status = qmp.execute("x-query-virtio-status", {{"path", path}});
  if (!status && is_command_failure(status.error()))
    return std::optional<protocol::FeatureSet>();  // unplugged just now
  if (!status) return status.error();
  return find(*status, "vhost-dev") == nullptr ? std::nullopt : std::optional(features_in(*status));
}

/// What the driver may have taken: properties of the device that this one is the back of.
Result<std::optional<protocol::FeatureSet>> offered_features(QmpClient& qmp, const std::string& path) {
  protocol::FeatureSet features;
  const std::string device = path.substr(0, path.rfind('/'));
  for (const auto& [property, feature] :
       {std::pair{"event_idx", VirtioFeature::event_idx}, {"packed", VirtioFeature::ring_packed}}) {
    const auto value = qmp.execute("qom-get", {{"path", device}, {"property", property}});
    if (!value && !is_command_failure(value.error())) return value.error();
    if (value && *value == true) features.set(feature);
  }
  return std::optional(features);
}

Result<void> ask_device(QmpClient& qmp, const Json& device, std::vector<ConnectionFacts>& connections) {
  const std::string path = text_at(device, "path");
  const bool tells = qmp.version() != std::pair{0U, 0U} && qmp.version() <= status_version_max;
  const auto features = tells ? negotiated_features(qmp, path) : offered_features(qmp, path);
  if (!features) return features.error();
  if (!*features) return {};
  ConnectionFacts facts;
  facts.connection = static_cast<std::uint32_t>(connections.size() + 1);
  facts.name = fmt::format("{} {}{}", text_at(device, "name"), path, tells ? "" : " (features: as offered)");
  facts.network = text_at(device, "name") == "virtio-net";
  facts.features = **features;
  if (auto asked = ask_rings_of(qmp, path, facts); !asked) return asked;
  if (tells || !facts.rings.empty()) connections.push_back(std::move(facts));
  return {};
}

}  // namespace

Result<std::vector<ConnectionFacts>> ask_rings(QmpClient& qmp) {
  const auto devices = qmp.execute("x-query-virtio");
  if (!devices && is_command_failure(devices.error()))
    return make_error(ErrorCode::unsupported, "{} (QEMU 7.2 is the first that supports it)", devices.error().message);
  if (!devices) return devices.error();
  if (!devices->is_array() || devices->size() > devices_max)
    return make_error(ErrorCode::protocol_violation, "x-query-virtio returns no list of at most {} devices",
                      devices_max);
  std::vector<ConnectionFacts> connections;
  for (const Json& device : *devices)
    if (auto asked = ask_device(qmp, device, connections); !asked) return asked.error();
  return connections;
}

}  // namespace vhostx::tools::probe
