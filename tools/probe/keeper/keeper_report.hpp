// SPDX-License-Identifier: BSD-3-Clause
// What a keeper holds, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "tools/probe/keeper/kept_port.hpp"

namespace vhostx::tools::probe {

std::string text_of(const std::string& path, const std::vector<KeptPort>& ports);
std::string json_of(const std::string& path, const std::vector<KeptPort>& ports);

}  // namespace vhostx::tools::probe
