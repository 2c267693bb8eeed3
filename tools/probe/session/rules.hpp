// SPDX-License-Identifier: BSD-3-Clause
// What a message changes in a SessionState, and what of it the specification forbids. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/codec.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

using Findings = std::vector<Finding>;

inline void violation(Findings& findings, std::string text, std::string section) {
  findings.push_back({Finding::Weight::violation, std::move(text), std::move(section)});
}
inline void remark(Findings& findings, std::string text, std::string section) {
  findings.push_back({Finding::Weight::remark, std::move(text), std::move(section)});
}

/// Header, lengths, counts. False: too broken to conclude anything from.
bool judge_form(const Event& event, const protocol::Message& message, Findings& findings);

/// Whether the request may come now, as the front-end asks it.
void judge_legality(const SessionState& state, const protocol::Message& request, Findings& findings);

/// A request of the front-end's: its descriptors and its content, then what it changes.
void take_request(SessionState& state, const Event& event, const protocol::Message& request, std::uint64_t number,
                  Findings& findings);

/// The back-end's answer to it. `request_payload` is the request's.
void take_reply(SessionState& state, const protocol::Message& request, const protocol::Message& reply,
                Findings& findings);

}  // namespace vhostx::tools::probe
