// SPDX-License-Identifier: BSD-3-Clause
// Make Error values from a formatted text, and errno where there is one. They never throw: without memory the text
// stays empty.
#pragma once

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <vhostx/result.hpp>

namespace vhostx {

template <typename... Args>
Error make_error(ErrorCode code, fmt::format_string<Args...> text, Args&&... args) noexcept {
  try {
    return Error{code, fmt::format(text, std::forward<Args>(args)...), 0};
  } catch (...) {
    return Error{code, {}, 0};
  }
}

template <typename... Args>
Error protocol_violation(fmt::format_string<Args...> text, Args&&... args) noexcept {
  return make_error(ErrorCode::protocol_violation, text, std::forward<Args>(args)...);
}
template <typename... Args>
Error invalid_argument(fmt::format_string<Args...> text, Args&&... args) noexcept {
  return make_error(ErrorCode::invalid_argument, text, std::forward<Args>(args)...);
}

/// Error: invalid_argument: the option, its value, its range.
inline Result<void> in_range(const char* option, std::uint64_t value, std::uint64_t min, std::uint64_t max) noexcept {
  if (value >= min && value <= max) return {};
  return invalid_argument("{} is {}, expected {} to {}", option, value, min, max);
}

/// "<text>: <strerror>"; `system_errno` is the errno given.
template <typename... Args>
Error make_system_error(int system_errno, fmt::format_string<Args...> text, Args&&... args) noexcept {
  try {
    return Error{ErrorCode::system,
                 fmt::format(text, std::forward<Args>(args)...) + ": " + std::generic_category().message(system_errno),
                 system_errno};
  } catch (...) {
    return Error{ErrorCode::system, {}, system_errno};
  }
}

}  // namespace vhostx
