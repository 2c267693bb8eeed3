// SPDX-License-Identifier: BSD-3-Clause
// What a session has come to, as tables.
#pragma once

#include <functional>
#include <string>

#include "tools/probe/session/event_text.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// What is known of the NUMA nodes of a region's pages, e.g. "node 0: 512 pages"; empty: nothing.
using NodesOf = std::function<std::string(const RegionView&)>;

/// Features, memory map and rings.
std::string text_of(const SessionState& state, const NodesOf& nodes, const TextStyle& style);

/// The same as one JSON object, without a line's end; README.md has its keys.
std::string json_of(const SessionState& state, const NodesOf& nodes);

}  // namespace vhostx::tools::probe
