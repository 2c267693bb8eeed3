// SPDX-License-Identifier: BSD-3-Clause
// The commands are marked unstable by QEMU, and the peer may be anything: each field is asked for by type.
#include "tools/probe/rings/qmp_rings.hpp"

#include <algorithm>
#include <charconv>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = QmpClient::Json;
using protocol::VirtioFeature;

constexpr std::size_t devices_max = 256;
constexpr std::uint64_t queues_max = 256;

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
      if (name == "VIRTIO_NET_F_CTRL_VQ") features.set(VirtioFeature::net_ctrl_vq);
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

/// Of a queue that QEMU knows by its guest addresses only.
Result<std::optional<RingAddresses>> translate(QmpClient& qmp, const Json& queue) {
  RingAddresses addresses;
  for (const auto& [key, address] : {std::pair{"vring-desc", &addresses.descriptor},
                                     {"vring-avail", &addresses.available},
                                     {"vring-used", &addresses.used}}) {
    const auto found = host_address(qmp, number_at(queue, key));
    if (!found) return found.error();
    if (*found == 0) return std::optional<RingAddresses>();
    *address = *found;
  }
  return std::optional(addresses);
}

RingFacts ring_of(std::uint64_t index, std::uint64_t size) {
  RingFacts ring;
  ring.index = static_cast<std::uint32_t>(index);
  ring.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, UINT32_MAX));
  ring.enabled = ring.started = true;
  return ring;
}

/// Of several queue pairs QEMU's vhost status has the first: the others are devices of their own to it.
Result<void> ask_other_ring(QmpClient& qmp, const Json& which, std::uint64_t index, ConnectionFacts& facts) {
  const auto queue = qmp.execute("x-query-virtio-queue-status", which);
  if (!queue && is_command_failure(queue.error())) return {};
  if (!queue) return queue.error();
  if (number_at(*queue, "vring-desc") == 0) return {};
  RingFacts ring = ring_of(index, number_at(*queue, "vring-num"));
  auto addresses = translate(qmp, *queue);
  if (!addresses) return addresses.error();
  ring.addresses = *addresses;
  if (!ring.addresses) ring.problem = "QEMU does not say where it is";
  facts.rings.push_back(std::move(ring));
  return {};
}

/// Queues of the vhost device that QEMU speaks of.
struct VhostQueues {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool has(std::uint64_t index) const noexcept { return index >= first && index - first < count; }
};

/// Adds the ring, if the driver has set it up.
Result<void> ask_ring(QmpClient& qmp, const std::string& path, std::uint64_t index, VhostQueues vhost,
                      ConnectionFacts& facts) {
  const Json which{{"path", path}, {"queue", index}};
  const auto queue = qmp.execute("x-query-virtio-vhost-queue-status", which);
  if (!queue && !is_command_failure(queue.error())) return queue.error();
  if (!queue) {
    // The words by which it says that asking for the other status sends nothing to the back-end.
    const bool harmless =
        !vhost.has(index) && queue.error().message.find("Invalid vhost virtqueue number") != std::string::npos;
    return harmless ? ask_other_ring(qmp, which, index, facts) : Result<void>();
  }
  if (number_at(*queue, "desc") == 0) return {};
  RingFacts ring = ring_of(index, number_at(*queue, "num"));
  ring.addresses = RingAddresses{number_at(*queue, "desc"), number_at(*queue, "avail"), number_at(*queue, "used")};
  facts.rings.push_back(std::move(ring));
  return {};
}

Result<void> ask_device(QmpClient& qmp, const Json& device, std::vector<ConnectionFacts>& connections) {
  const std::string path = text_at(device, "path");
  const auto status = qmp.execute("x-query-virtio-status", {{"path", path}});
  if (!status && is_command_failure(status.error())) return {};  // it was unplugged just now
  if (!status) return status.error();
  const Json* const vhost = find(*status, "vhost-dev");
  if (vhost == nullptr) return {};  // QEMU's own, or no driver has started it
  const VhostQueues vhost_queues{number_at(*vhost, "vq-index"), number_at(*vhost, "nvqs")};
  ConnectionFacts facts;
  facts.connection = static_cast<std::uint32_t>(connections.size() + 1);
  facts.name = fmt::format("{} {}", text_at(*status, "name"), path);
  facts.network = text_at(*status, "name") == "virtio-net";
  facts.features = features_in(*status);
  std::uint64_t queues = std::min(number_at(*status, "num-vqs"), queues_max);
  // The control queue is the last one, and QEMU's own (VIRTIO 1.2, 5.1.2).
  if (facts.network && facts.features.has(VirtioFeature::net_ctrl_vq) && queues != 0) --queues;
  for (std::uint64_t index = 0; index < queues; ++index)
    if (auto asked = ask_ring(qmp, path, index, vhost_queues, facts); !asked) return asked;
  connections.push_back(std::move(facts));
  return {};
}

}  // namespace

Result<std::vector<ConnectionFacts>> ask_rings(QmpClient& qmp) {
  const auto devices = qmp.execute("x-query-virtio");
  if (!devices && is_command_failure(devices.error()))
    return make_error(ErrorCode::unsupported, "{} (QEMU 7.2 is the first that can tell)", devices.error().message);
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
