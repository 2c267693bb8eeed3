// SPDX-License-Identifier: BSD-3-Clause
// What works and is most likely not meant.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/switch/options.hpp"

namespace vhostx::tools {

/// A line each: more workers than CPUs that the process may use; a port that io and mac forward to nowhere. Pure.
std::vector<std::string> start_warnings(const Options& options, std::size_t workers, std::size_t cpus);

}  // namespace vhostx::tools
