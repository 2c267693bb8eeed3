// SPDX-License-Identifier: BSD-3-Clause
// Where guest memory was read, for fuzzers: a guest that rewrites each place right after it was read makes of a place
// that is read twice a finding, without luck (fuzz/fuzz_mutating.cpp). Without VHOSTX_GUEST_LOAD_HOOK there is nothing
// here.
#pragma once

#include <cstddef>

namespace vhostx::memory {

#ifdef VHOSTX_GUEST_LOAD_HOOK
/// Called after each load of `size` bytes, also of memory that is no guest's.
using LoadHook = void (*)(const void* shared, std::size_t size);
inline LoadHook load_hook = nullptr;
#endif

/// What reads guest memory says so afterwards. load_once() and virtqueue/ring.hpp do; who copies more calls it himself.
inline void loaded([[maybe_unused]] const void* shared, [[maybe_unused]] std::size_t size) noexcept {
#ifdef VHOSTX_GUEST_LOAD_HOOK
  if (load_hook != nullptr) load_hook(shared, size);
#endif
}

}  // namespace vhostx::memory
