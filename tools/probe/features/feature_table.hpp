// SPDX-License-Identifier: BSD-3-Clause
// Feature bits by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "protocol/features.hpp"

namespace vhostx::tools::probe {

using FeatureNames = std::span<const protocol::FeatureName>;

/// "TITLE: 0x...", and a line for each bit that is set: its number, name and meaning.
std::string text_of_bits(const std::string& title, std::uint64_t bits, FeatureNames names);

/// {"bits": "0x...", "names": [...], "unknown": [numbers of bits without a name]}
nlohmann::ordered_json json_of_bits(std::uint64_t bits, FeatureNames names);

}  // namespace vhostx::tools::probe
