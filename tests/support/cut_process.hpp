// SPDX-License-Identifier: BSD-3-Clause
// A process that is killed at the n-th beginning or end of a system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include <sys/types.h>

namespace vhostx::test {

class CutProcess {
 public:
  /// Runs `action` in a child process, which has the calling thread alone. It calls stand_still() where it is to be cut
  /// off from, and again where that ends.
  explicit CutProcess(const std::function<void()>& action);
  ~CutProcess() { kill(); }
  CutProcess(const CutProcess&) = delete;
  CutProcess& operator=(const CutProcess&) = delete;

  /// In the child.
  static void stand_still();

  /// Waits until it stands still for the first time. False: no process may trace another one here. Throws where it has
  /// ended.
  bool wait_still();
  /// Lets it go on to the n-th beginning or end of a system call. False: it has come to its end before.
  bool run(std::size_t n);
  /// Where run() has left it: at the beginning or at the end of this system call.
  struct Place {
    std::uint64_t call = 0;
    bool begins = false;
  };
  Place place() const noexcept { return place_; }
  /// Returns when it has ended with all its threads.
  void kill() noexcept;

 private:
  int wait() const;

  void look();

  pid_t pid_;
  Place place_;
};

}  // namespace vhostx::test
