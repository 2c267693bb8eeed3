// SPDX-License-Identifier: BSD-3-Clause
// Why a file could not be opened or made, for people.
#pragma once

#include <string>

namespace vhostx::tools {

/// What the system says to `error`, or, where a folder of the path is missing, which one: "the folder '/x' does not
/// exist".
std::string why_not(const std::string& path, int error);

}  // namespace vhostx::tools
