// SPDX-License-Identifier: BSD-3-Clause
// A back-end's answers for people and for programs.
#pragma once

#include <string>

#include "tools/probe/query/query.hpp"

namespace vhostx::tools::probe {

std::string text_of(const std::string& path, const BackEndFacts& facts);
/// One object on one line; README.md of this folder has its keys.
std::string json_of(const std::string& path, const BackEndFacts& facts);

}  // namespace vhostx::tools::probe
