// SPDX-License-Identifier: BSD-3-Clause
#include "tools/common/paths.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

namespace vhostx::tools {

std::string why_not(const std::string& path, int error) {
  namespace fs = std::filesystem;
  std::error_code none;
  auto missing = fs::path(path).parent_path();
  if (error != ENOENT || missing.empty() || fs::exists(missing, none)) return std::generic_category().message(error);
  for (auto above = missing.parent_path(); !above.empty() && !fs::exists(above, none); above = missing.parent_path())
    missing = above;
  return fmt::format("the folder '{}' does not exist", missing.string());
}

}  // namespace vhostx::tools
