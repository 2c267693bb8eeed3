// SPDX-License-Identifier: BSD-3-Clause
// The part of the rules that is about a guest that migrates: the dirty log, and the device's state. Pure.
#pragma once

#include "tools/probe/session/rules.hpp"

namespace vhostx::tools::probe {

/// SET_FEATURES, before the state has them: what changes while rings run.
void judge_feature_change(const SessionState& state, protocol::FeatureSet features, Findings& findings);
/// SET_VRING_ADDR of this ring, whose size and addresses are in it.
void judge_ring_log(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings);
/// SET_VRING_KICK, before the ring has started.
void judge_start_without_log(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings);

/// False: it is not about migration.
bool take_migration_request(SessionState& state, const Event& event, const protocol::Message& request,
                            std::uint64_t number, Findings& findings);
/// The answer to SET_DEVICE_STATE_FD or CHECK_DEVICE_STATE.
void take_migration_reply(SessionState& state, const protocol::Message& request, const protocol::Message& reply,
                          Findings& findings);

}  // namespace vhostx::tools::probe
