// SPDX-License-Identifier: BSD-3-Clause
// What the control socket answered, for people.
#pragma once

#include <string>

#include <vhostx/result.hpp>

#include "tools/switch/control_request.hpp"

namespace vhostx::tools {

/// The `result` of an answer line: as text (some lines, the last with its newline), or as JSON on one line. Errors:
/// what the switch refused, protocol_violation (no answer of this protocol).
Result<std::string> text_of_answer(ControlCommand command, const std::string& answer);
Result<std::string> json_of_answer(const std::string& answer);

/// The line to print of an event's line. An event that has no text is printed as it is.
std::string text_of_event(const std::string& event);

}  // namespace vhostx::tools
