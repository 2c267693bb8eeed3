// SPDX-License-Identifier: BSD-3-Clause
// Whether this was built with ThreadSanitizer.
#pragma once

namespace vhostx::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#elif defined(__has_feature)
inline constexpr bool under_tsan = __has_feature(thread_sanitizer);
#else
inline constexpr bool under_tsan = false;
#endif

}  // namespace vhostx::test
