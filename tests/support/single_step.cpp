// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/single_step.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sched.h>
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

[[noreturn]] void run(const std::function<void()>& action) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    action();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

void be_traced() {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(cannot_be_traced);
  ::raise(SIGSTOP);
}

/// The calling thread and its children stay where they are. One of two that wait for each other follows the other at
/// once then; on a processor of its own each would have to be waked first, twice for each instruction.
class OneProcessor {
 public:
  OneProcessor() {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(::sched_getcpu(), &here);
    ::sched_getaffinity(0, sizeof before_, &before_);
    ::sched_setaffinity(0, sizeof here, &here);
  }
  ~OneProcessor() { ::sched_setaffinity(0, sizeof before_, &before_); }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;

 private:
  cpu_set_t before_;
};

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

std::optional<std::size_t> single_step(const std::function<void()>& action, const std::function<void()>& look,
                                       const std::function<void()>& before) {
  const OneProcessor stay;
  const pid_t pid = ::fork();
  if (pid == 0)
    run([&] {
      before();
      be_traced();
      action();
    });
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

void run_in_child(const std::function<void()>& action) {
  const pid_t pid = ::fork();
  if (pid == 0) run(action);
  Child child(pid);
  child.wait();
  if (child.exit_code() != 0) throw std::runtime_error("a child process has failed");
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
