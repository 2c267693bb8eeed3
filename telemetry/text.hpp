// SPDX-License-Identifier: BSD-3-Clause
// Joins texts. (libvhostx.so does not export fmt.)
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace vhostx::telemetry {

inline std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return text;
}

}  // namespace vhostx::telemetry
