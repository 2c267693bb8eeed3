// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/keeper/kept_port.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/features.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::tools::probe {
namespace {

using continuity::BundleFacts;
using continuity::KeeperClient;
using continuity::KickKind;
using continuity::RingState;
using continuity::SessionRecord;
using continuity::SessionState;

constexpr int tries = 8;  // its owner may write both halves of a record between two of our packets

Result<SessionRecord::Seen> read_record(KeeperClient& keeper, const std::string& bundle) {
  for (int left = tries - 1;; --left) {
    const auto copy = keeper.look(bundle, continuity::record_slot, 0, SessionRecord::bytes_most() + 1);
    if (!copy) return copy.error();
    auto seen = SessionRecord::read_copy(*copy);
    if (seen || left == 0) return seen;
  }
}

std::optional<std::uint16_t> used_index(KeeperClient& keeper, const std::string& bundle, std::size_t ring,
                                        bool packed) {
  namespace at = virtqueue::inflight;
  constexpr std::uint64_t each = virtqueue::InflightStore::bytes_of_a_ring;
  const std::size_t used_at = packed ? virtqueue::packed_inflight::used_at : at::used_idx_at;
  const std::size_t bytes = packed ? virtqueue::packed_inflight::header_bytes : at::header_bytes;
  const auto header = keeper.look(bundle, continuity::own_inflight_slot, ring * each, bytes);
  if (!header || header->size() < bytes) return {};
  std::uint16_t version = 0;
  std::uint16_t used = 0;
  std::memcpy(&version, header->data() + at::version_at, sizeof version);
  std::memcpy(&used, header->data() + used_at, sizeof used);
  return version == at::version ? std::optional(used) : std::nullopt;
}

bool has_packed_rings(const SessionState& state) noexcept {
  return protocol::FeatureSet(state.features).has(protocol::VirtioFeature::ring_packed);
}

bool has(const BundleFacts& bundle, std::uint32_t slot) {
  return std::binary_search(bundle.slots.begin(), bundle.slots.end(), slot);
}

}  // namespace

KeptPort look_at(KeeperClient& keeper, BundleFacts bundle) {
  KeptPort port{std::move(bundle), {}, {}, {}};
  if (!has(port.bundle, continuity::record_slot)) return port;
  auto seen = read_record(keeper, port.bundle.name);
  if (!seen) {
    port.problem = seen.error().code == ErrorCode::closed ? "the keeper has ended, or is too old to show records"
                                                          : std::move(seen).error().message;
    return port;
  }
  port.record = *std::move(seen);
  port.used.resize(port.record->state.rings.size());
  if (has(port.bundle, continuity::own_inflight_slot))
    for (std::size_t i = 0; i < port.used.size(); ++i)
      port.used[i] = used_index(keeper, port.bundle.name, i, has_packed_rings(port.record->state));
  return port;
}

bool is_enabled(const SessionState& state, const RingState& ring) noexcept {
  const protocol::FeatureSet features(state.features);
  return ring.enabled != 0 || !features.has(protocol::VirtioFeature::vhost_user_protocol_features);
}

bool is_started(const RingState& ring) noexcept { return ring.size != 0 && ring.kick_kind != KickKind::unarmed; }

}  // namespace vhostx::tools::probe
