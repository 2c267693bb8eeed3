// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace vhostx::compat {

/// Starts a detached thread that EAL keeps off the lcores' CPUs. Returns 0, or an errno number.
int start_control_thread(const char* name, void (*run)(void*), void* argument);

}  // namespace vhostx::compat
