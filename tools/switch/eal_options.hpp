// SPDX-License-Identifier: BSD-3-Clause
// What of the command line is EAL's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace vhostx::tools {

/// `EAL options -- own options`; without "--" all are the switch's own.
struct SplitLine {
  std::vector<std::string> eal;
  std::vector<std::string> own;
};
SplitLine split_line(const std::vector<std::string>& arguments);

/// For an option that the switch does not have: where EAL's are put, if it is one of EAL's. Otherwise empty.
std::string about_eal_option(std::string_view word);

/// The first word among EAL's that is an option of the switch and none of EAL's. Empty: there is none.
std::string own_option_among(const CLI::App& app, const std::vector<std::string>& eal);

}  // namespace vhostx::tools
