// SPDX-License-Identifier: BSD-3-Clause
// Tells fuzzers where guest memory was read. A guest that rewrites each place right after it was read finds every place
// that is read twice (fuzz/fuzz_mutating.cpp). Without VHOSTX_GUEST_LOAD_HOOK this does nothing.
#pragma once

#include <cstddef>

namespace vhostx::memory {

#ifdef VHOSTX_GUEST_LOAD_HOOK
/// Called after each load of `size` bytes, also for memory of our own.
using LoadHook = void (*)(const void* shared, std::size_t size);
inline LoadHook load_hook = nullptr;
#endif

/// Call it after reading guest memory. load_once() and virtqueue/ring.hpp do; code that copies more calls it itself.
inline void loaded([[maybe_unused]] const void* shared, [[maybe_unused]] std::size_t size) noexcept {
#ifdef VHOSTX_GUEST_LOAD_HOOK
  if (load_hook != nullptr) load_hook(shared, size);
#endif
}

}  // namespace vhostx::memory
