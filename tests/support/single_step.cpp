// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/single_step.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace vhostx::test {
namespace {

constexpr int cannot_be_traced = 77;

[[noreturn]] void run_traced(const std::function<void()>& action) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(cannot_be_traced);
  ::raise(SIGSTOP);
  try {
    action();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

/// A child that is ended and waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  }
  ~Child() {
    if (ended_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Waits until it stands still or has ended. False: it has ended.
  bool wait() {
    if (::waitpid(pid_, &status_, 0) != pid_) throw std::system_error(errno, std::generic_category(), "waitpid");
    ended_ = WIFEXITED(status_) || WIFSIGNALED(status_);
    return !ended_;
  }
  void step() const {
    const int signal = WSTOPSIG(status_) == SIGTRAP || WSTOPSIG(status_) == SIGSTOP ? 0 : WSTOPSIG(status_);
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, static_cast<std::intptr_t>(signal)) != 0)
      throw std::system_error(errno, std::generic_category(), "PTRACE_SINGLESTEP");
  }
  int exit_code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }

 private:
  pid_t pid_;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace

std::optional<std::size_t> single_step(const std::function<void()>& action, const std::function<void()>& look) {
  const pid_t pid = ::fork();
  if (pid == 0) run_traced(action);
  Child child(pid);
  std::size_t steps = 0;
  while (child.wait()) {
    look();
    child.step();
    ++steps;
  }
  if (child.exit_code() == cannot_be_traced) return {};
  if (child.exit_code() != 0) throw std::runtime_error("the process that was single-stepped has failed");
  return steps;
}

// A line of maps: begin-end permissions offset device inode path.
void share_with_children(int file) {
  struct stat facts {};
  if (::fstat(file, &facts) != 0) throw std::system_error(errno, std::generic_category(), "fstat");
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::string permissions, offset, device;
    ino_t inode = 0;
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end >> permissions >> offset >> device >> std::dec >> inode;
    if (inode != facts.st_ino) continue;
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DOFORK) != 0)
      throw std::system_error(errno, std::generic_category(), "MADV_DOFORK");
  }
}

}  // namespace vhostx::test
