// SPDX-License-Identifier: BSD-3-Clause
// On which CPUs the library's own threads run: not on those of lcores that poll, where there are others.
#pragma once

#include <sched.h>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::backend {

/// What BackendOptions::control_cpus says, or by default follows from the calling thread, EAL and the process. Errors:
/// invalid_argument (a CPU that there is not, or that the process may not use), system.
Result<cpu_set_t> control_cpus(const std::vector<unsigned>& wanted);

/// The default: the first of these that is not empty: `caller` without `lcores`, `process` without `lcores`, `caller`.
cpu_set_t choose_control_cpus(const cpu_set_t& caller, const cpu_set_t& process, const cpu_set_t& lcores) noexcept;

}  // namespace vhostx::backend
