// SPDX-License-Identifier: BSD-3-Clause
// GuestProcess: guests in a process of their own, so that the memory of this one is the back-end's alone.
#pragma once

#include <string>

#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "tests/bench/bench_guest.hpp"

namespace vhostx::bench {

class GuestProcess {
 public:
  /// Forks: the caller has no threads yet.
  explicit GuestProcess(const BenchOptions& options);
  /// The guests die with their connections.
  ~GuestProcess();
  GuestProcess(const GuestProcess&) = delete;
  GuestProcess& operator=(const GuestProcess&) = delete;

  /// One more guest, connected when this returns.
  void connect(const std::string& socket_path);

 private:
  UniqueFd commands_;
  pid_t process_ = -1;
};

}  // namespace vhostx::bench
