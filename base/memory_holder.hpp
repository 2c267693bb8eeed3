// SPDX-License-Identifier: BSD-3-Clause
// MemoryHolder: lets a process that is killed close its descriptors at once.
#pragma once

#include <sys/types.h>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx {

/// A process that shares this one's memory, holds none of its descriptors, and waits until this one ends or executes
/// another program.
///
/// The kernel releases a killed process's memory before its descriptors. Where that includes AIO contexts
/// (peer_signals.hpp) it waits for a grace period of RCU meanwhile, tens of milliseconds and more, and who waits for
/// the end of a connection of that process waits too. As long as another process has the same memory, there is nothing
/// to release: the descriptors are closed as soon as the last thread has ended. Then the holder ends, and the memory is
/// released.
class MemoryHolder {
 public:
  /// Starts the holder. Errors: system (no process), out_of_memory, unsupported (by the kernel, or by
  /// ThreadSanitizer).
  static Result<MemoryHolder> start();
  MemoryHolder() noexcept = default;
  MemoryHolder(MemoryHolder&& other) noexcept;
  MemoryHolder& operator=(MemoryHolder&& other) noexcept;
  /// Ends the holder and waits until it has ended.
  ~MemoryHolder();

  /// 0: there is none.
  pid_t pid() const noexcept { return pid_; }

 private:
  void* stack_ = nullptr;
  pid_t pid_ = 0;
  UniqueFd process_;
  UniqueFd program_;  // closed when another one is executed
};

}  // namespace vhostx
