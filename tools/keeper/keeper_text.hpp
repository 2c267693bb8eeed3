// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-keeper prints: a line for each event, for people or as JSON.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "continuity/bundles.hpp"
#include "tools/keeper/options.hpp"

namespace vhostx::tools::keeper {

/// It listens, and may hold so many descriptors.
std::string ready_line(const Options& options, std::uint32_t descriptors_max);
/// `since_start` is for the line; JSON has it as "seconds".
std::string event_line(const continuity::KeeperEvent& event, std::chrono::duration<double> since_start, bool json);
/// It ends, and drops what it holds.
std::string end_line(std::size_t bundles, bool json);
/// So many lines were not written.
std::string lines_lost(std::uint64_t lines, bool json);

}  // namespace vhostx::tools::keeper
