// SPDX-License-Identifier: BSD-3-Clause
// A memory fence for two sides of unequal frequency (membarrier(2)): one side makes every thread of the process pass a
// full fence, so that the other needs none.
#pragma once

namespace vhostx::backend {

/// Whether heavy_fence() may be used: Linux 4.14 or later, and nothing forbids the call. The same answer each time in
/// one process. Not under ThreadSanitizer, which does not know of it.
bool enable_heavy_fence() noexcept;

/// After enable_heavy_fence() was true. What this thread stored before is visible to loads that other threads make
/// after their next instruction; what they stored before it is visible to loads that this thread makes after the call.
void heavy_fence() noexcept;

}  // namespace vhostx::backend
