// SPDX-License-Identifier: BSD-3-Clause
// Reports for people: each is some lines, the last with its newline.
#pragma once

#include <string>
#include <vector>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

/// Rates since `before`, and what was dropped in that time; of a port that is not in it, since the port was added.
std::string text_live(const Snapshot& now, const Snapshot& before);
/// Totals.
std::string text_summary(const Snapshot& total);
std::string text_event(const TimedEvent& event);
/// That the event's port had others before it that nobody is told of: `event.left_out` of them.
std::string text_left_out(const TimedEvent& event);
std::string text_link(const LinkChanged& link);
std::string text_port_changed(const PortChanged& change);

/// Of a port, in a word or two: "2 rings", "waiting".
std::string port_state(const PortSnapshot& port);

/// Three or four digits and a prefix: 12, 1.23k, 45.6M.
std::string short_number(double value);

}  // namespace vhostx::tools
