// SPDX-License-Identifier: BSD-3-Clause
// What the kernel knows of a process from outside: nothing in it has to be trusted to answer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace vhostx::hostile {

/// What an attack must leave as it was.
struct ProcessFacts {
  std::size_t fds = 0;              ///< But epolls.
  std::size_t epolls = 0;           ///< Those of rings that nobody has used yet end when somebody does.
  std::size_t guest_mappings = 0;   ///< Of files that a front-end shared.
  std::size_t file_mappings = 0;    ///< Of any file, those of front-ends among them.
  std::size_t own_mappings = 0;     ///< Of none: heaps, stacks, address space that is kept for memory to come.
  std::size_t signal_threads = 0;   ///< Those that make slow signals: they end by themselves, when idle for a second.
  std::size_t threads = 0;          ///< All others.
  std::uint64_t anonymous_kib = 0;  ///< RssAnon: the heap, and what else is the process's own.

  friend bool operator==(const ProcessFacts&, const ProcessFacts&) = default;
};

ProcessFacts facts_of(pid_t pid);

/// All its threads.
std::vector<pid_t> threads_of(pid_t pid);
std::string name_of_thread(pid_t pid, pid_t tid);

/// The thread of the process that has this name; 0: none.
pid_t thread_named(pid_t pid, const std::string& name);

/// How long the thread has been ready to run, and was not let: /proc/PID/task/TID/schedstat. It is brought up to date
/// whenever the thread gets a CPU. 0 on kernels that do not count.
std::chrono::nanoseconds time_in_queue(pid_t pid, pid_t tid);
/// What the hypervisor took from all CPUs of this machine.
std::chrono::nanoseconds time_stolen();

/// What time_in_queue() says of several threads together, read often: their files stay open.
class QueueTime {
 public:
  void add(pid_t pid, pid_t tid);
  std::chrono::nanoseconds total() const;

 private:
  std::vector<UniqueFd> files_;
};

}  // namespace vhostx::hostile
