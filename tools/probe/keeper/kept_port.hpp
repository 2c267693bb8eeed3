// SPDX-License-Identifier: BSD-3-Clause
// What a port's bundle says of its rings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "continuity/keeper_client.hpp"
#include "continuity/keeper_protocol.hpp"
#include "continuity/session_record.hpp"

namespace vhostx::tools::probe {

/// A bundle, and the record in it. Who had the bundle may have written anything there.
struct KeptPort {
  continuity::BundleFacts bundle;
  std::optional<continuity::SessionRecord::Seen> record;
  /// By ring: its used index, where the port has a record of its own of what is in flight, and the ring runs.
  std::vector<std::optional<std::uint16_t>> used;
  std::string problem;  ///< Why `record` is empty though the bundle has one.
};

/// Looks at the bundle's record. One that changes meanwhile is read again.
KeptPort look_at(continuity::KeeperClient& keeper, continuity::BundleFacts bundle);

/// It is set up: the back-end serves it from its driver's first kick on, which no record tells.
bool is_started(const continuity::RingState& ring) noexcept;
/// SET_VRING_ENABLE said so, or it needs none.
bool is_enabled(const continuity::SessionState& state, const continuity::RingState& ring) noexcept;
inline bool runs(const continuity::SessionState& state, const continuity::RingState& ring) noexcept {
  return is_started(ring) && is_enabled(state, ring);
}

}  // namespace vhostx::tools::probe
