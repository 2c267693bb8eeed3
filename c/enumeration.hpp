// SPDX-License-Identifier: BSD-3-Clause
// Converts numbers from C to enumerations.
#pragma once

#include <vhostx/result.hpp>

#include "base/error.hpp"

namespace vhostx::c {

/// Converts a caller's int to an enumeration with the values 0 to `max`. Error: invalid_argument.
template <typename Enum>
Result<void> to_enum(const char* option, int value, Enum max, Enum& to) {
  if (value < 0 || value > static_cast<int>(max))
    return make_error(ErrorCode::invalid_argument, "{} is {}, expected 0 to {}", option, value, static_cast<int>(max));
  to = static_cast<Enum>(value);
  return {};
}

}  // namespace vhostx::c
