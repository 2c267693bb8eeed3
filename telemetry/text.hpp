// SPDX-License-Identifier: BSD-3-Clause
// Texts from parts. (fmt is within libvhostx.so alone.)
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
