// SPDX-License-Identifier: BSD-3-Clause
#include "backend/loop/control_cpus.hpp"

#include <cstdlib>
#include <dirent.h>
#include <thread>

#include <rte_lcore.h>

#include "base/error.hpp"
#include "base/signals_blocked.hpp"

namespace vhostx::backend {
namespace {

cpu_set_t without(const cpu_set_t& all, const cpu_set_t& some) noexcept {
  cpu_set_t rest;
  CPU_XOR(&rest, &all, &some);
  CPU_AND(&rest, &rest, &all);
  return rest;
}

/// Of the lcores that run functions or services. A thread of the application's that is registered with EAL may run
/// anywhere.
cpu_set_t cpus_of_lcores() noexcept {
  cpu_set_t cpus{};
  for (unsigned lcore = 0; lcore < RTE_MAX_LCORE; ++lcore) {
    const rte_lcore_role_t role = rte_eal_lcore_role(lcore);
    if (role != ROLE_RTE && role != ROLE_SERVICE) continue;
    const rte_cpuset_t own = rte_lcore_cpuset(lcore);
    CPU_OR(&cpus, &cpus, &own);
  }
  return cpus;
}

/// Of all its threads. EAL pins the one that it starts in, and keeps what that had before for threads of its own. Not
/// by std::filesystem, whose iterator ends the process where memory is out.
cpu_set_t cpus_of_process() noexcept {
  cpu_set_t cpus{};
  DIR* const tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return cpus;
  while (const dirent* const task = ::readdir(tasks)) {
    cpu_set_t own;
    const auto thread = static_cast<pid_t>(std::strtol(task->d_name, nullptr, 10));  // of "." and "..": this thread
    if (::sched_getaffinity(thread, sizeof own, &own) == 0) CPU_OR(&cpus, &cpus, &own);
  }
  ::closedir(tasks);
  return cpus;
}

/// What the kernel leaves of `wanted`: of a thread that is made for the question. Empty: nothing.
cpu_set_t allowed(const cpu_set_t& wanted) {
  cpu_set_t cpus{};
  const SignalsBlocked blocked;  // inherited by the thread
  std::thread([&] {
    if (::sched_setaffinity(0, sizeof wanted, &wanted) != 0 || ::sched_getaffinity(0, sizeof cpus, &cpus) != 0)
      CPU_ZERO(&cpus);
  }).join();
  return cpus;
}

Result<cpu_set_t> checked(const std::vector<unsigned>& wanted) {
  cpu_set_t cpus{};
  for (const unsigned cpu : wanted) {
    if (cpu >= CPU_SETSIZE)
      return invalid_argument("control_cpus has {}, expected CPUs from 0 to {}", cpu, CPU_SETSIZE - 1);
    CPU_SET(cpu, &cpus);
  }
  const cpu_set_t usable = allowed(cpus);
  for (const unsigned cpu : wanted)
    if (!CPU_ISSET(cpu, &usable))
      return invalid_argument("control_cpus has {}, expected CPUs that are online and that this process may use", cpu);
  return cpus;
}

}  // namespace

cpu_set_t choose_control_cpus(const cpu_set_t& caller, const cpu_set_t& process, const cpu_set_t& lcores) noexcept {
  if (const cpu_set_t rest = without(caller, lcores); CPU_COUNT(&rest) != 0) return rest;
  if (const cpu_set_t rest = without(process, lcores); CPU_COUNT(&rest) != 0) return rest;
  return caller;
}

Result<cpu_set_t> control_cpus(const std::vector<unsigned>& wanted) {
  if (!wanted.empty()) return checked(wanted);
  cpu_set_t caller;
  if (::sched_getaffinity(0, sizeof caller, &caller) != 0) CPU_ZERO(&caller);  // more CPUs than a cpu_set_t has
  return choose_control_cpus(caller, cpus_of_process(), cpus_of_lcores());
}

}  // namespace vhostx::backend
