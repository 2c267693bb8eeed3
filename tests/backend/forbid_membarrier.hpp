// SPDX-License-Identifier: BSD-3-Clause
// membarrier(2) forbidden by a seccomp filter, as some containers do: what the gate falls back to then.
#pragma once

namespace vhostx::test {

/// From here on membarrier fails with EPERM in this thread, and in those that it starts. For ever.
void forbid_membarrier();

/// Whether this whole program runs without it: VHOSTX_TEST_NO_MEMBARRIER is set, which CTest does for a second run.
bool runs_without_membarrier();

}  // namespace vhostx::test
