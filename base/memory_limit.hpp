// SPDX-License-Identifier: BSD-3-Clause
// How much memory there is: in the machine, and for this process if a control group (cgroup) limits it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"

namespace vhostx {

/// RAM, huge pages among it, and swap; bytes.
std::uint64_t machine_memory_bytes() noexcept;

/// The tightest limit among the process's control group and those above it (memory.max, or version 1's
/// memory.limit_in_bytes). Its files stay open: room() may be asked in a signal handler.
class MemoryLimit {
 public:
  /// Null: no limit is below the machine's memory, or it cannot be read. Reads a few files of /proc and of the
  /// cgroup file system. May throw std::bad_alloc.
  static std::unique_ptr<const MemoryLimit> find();

  /// As it was found; bytes. room() reads it again.
  std::uint64_t bytes() const noexcept { return bytes_; }
  /// The folder of the group that has the limit, for messages.
  const std::string& group() const noexcept { return group_; }
  /// Bytes that may still be charged before the kernel kills processes. Page cache that it can drop counts as free.
  /// Three reads, about 20 us. Any thread, async-signal-safe. 0 if the files can no longer be read.
  std::uint64_t room() const noexcept;

 private:
  MemoryLimit() = default;

  std::uint64_t bytes_ = 0;
  std::string group_;
  UniqueFd limit_;
  UniqueFd usage_;
  UniqueFd stat_;
};

}  // namespace vhostx
