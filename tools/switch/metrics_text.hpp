// SPDX-License-Identifier: BSD-3-Clause
// The switch's state in Prometheus' text exposition format, version 0.0.4.
#pragma once

#include <string>
#include <string_view>

#include "tools/switch/snapshot.hpp"

namespace vhostx::tools {

std::string metrics_text(const Snapshot& snapshot);

/// A label's value: backslash, double quote and line feed escaped, bytes that are no UTF-8 replaced.
std::string escape_label(std::string_view value);

}  // namespace vhostx::tools
