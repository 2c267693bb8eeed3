// SPDX-License-Identifier: BSD-3-Clause
// Reports for programs: each is one JSON object without a newline.
#pragma once

#include <string>
#include <vector>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/lane_moved.hpp"
#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

/// `event` is "stats" or "summary".
std::string json_report(const char* event, const Snapshot& snapshot);
/// The ports as a list, and one port: without placement and negotiated bits, with what a command shows beside.
std::string json_ports(const Snapshot& snapshot);
std::string json_port(const PortSnapshot& port);
/// A life-cycle event: {"event":name,"port":path,"seconds":t,...}, with the event's own fields.
std::string json_event(const TimedEvent& event);
/// That the event's port had others before it that nobody is told of: `event.left_out` of them.
std::string json_left_out(const TimedEvent& event);
std::string json_link(const LinkChanged& link);
/// {"event":"lane_moved","port":path,"seconds":t,"pair":0,"from_worker":0,"to_worker":1}
std::string json_lane_moved(const LaneMoved& lane);
/// {"event":"port_added","port":path,"seconds":t}, or port_removed.
std::string json_port_changed(const PortChanged& change);
/// The same object with one more field, "text": what people read, without the newline.
std::string with_text(const std::string& object, std::string text);
/// All ports are open.
std::string json_ready(const Ready& ready, double seconds);

}  // namespace vhostx::tools
