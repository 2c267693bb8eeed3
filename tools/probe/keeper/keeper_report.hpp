// SPDX-License-Identifier: BSD-3-Clause
// What a keeper holds, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "continuity/keeper_protocol.hpp"

namespace vhostx::tools::probe {

std::string text_of(const std::string& path, const std::vector<continuity::BundleFacts>& bundles);
std::string json_of(const std::string& path, const std::vector<continuity::BundleFacts>& bundles);

}  // namespace vhostx::tools::probe
