// SPDX-License-Identifier: BSD-3-Clause
// Whether this program was built with ASan, which is to say that the back-end was: both come from one preset.
#pragma once

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

}  // namespace vhostx::hostile
