// SPDX-License-Identifier: BSD-3-Clause
// An asymmetric memory fence (membarrier(2)): the infrequent side makes every thread of the process execute a full
// fence, so that the frequent side needs none.
#pragma once

namespace vhostx::backend {

/// Whether heavy_fence() may be used: Linux 4.14 or later, and nothing forbids the call. Returns the same each time in
/// one process. False under ThreadSanitizer, which does not know it.
bool enable_heavy_fence() noexcept;

/// Call it only if enable_heavy_fence() returned true. Stores of this thread before the call are visible to later loads
/// of other threads, and their stores before it are visible to loads of this thread after the call.
void heavy_fence() noexcept;

}  // namespace vhostx::backend
