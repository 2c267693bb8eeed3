// SPDX-License-Identifier: BSD-3-Clause
// Whether this program was built with ASan, which is to say that the back-end was: both come from one preset. And what
// depends on it.
#pragma once

#include <chrono>

namespace vhostx::hostile {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// The longest that a victim's frame may travel, and that it may wait for an answer. Sanitizers and -O0 make the
/// back-end's own work several times as long.
inline constexpr std::chrono::milliseconds delay_max{sanitized ? 500 : 100};

}  // namespace vhostx::hostile
