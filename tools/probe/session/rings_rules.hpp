// SPDX-License-Identifier: BSD-3-Clause
// The part of the rules that is about memory and rings. Pure.
#pragma once

#include "tools/probe/session/rules.hpp"

namespace vhostx::tools::probe {

/// What is known of the ring that the request names, for check_legal().
void set_ring_facts(const SessionState& state, const protocol::Message& request, protocol::FactSet& facts);

/// False: it is not about memory.
bool take_memory_request(SessionState& state, const Event& event, const protocol::Message& request,
                         std::uint64_t number, Findings& findings);

void take_ring_request(SessionState& state, const Event& event, const protocol::Message& request, Findings& findings);

/// GET_VRING_BASE was answered: the ring has stopped.
void take_base(SessionState& state, const protocol::Message& request, const protocol::Message& reply,
               Findings& findings);

}  // namespace vhostx::tools::probe
