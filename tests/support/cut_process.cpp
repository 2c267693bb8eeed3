// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/cut_process.hpp"

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

namespace vhostx::test {
namespace {

constexpr int untraced_exit_code = 77;
constexpr int system_call_stop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

void must_trace(long result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

CutProcess::CutProcess(const std::function<void()>& action) : pid_(::fork()) {
  must_trace(pid_, "fork");
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    action();
  } catch (...) {
  }
  ::_exit(1);
}

void CutProcess::stand_still() {
  static const bool traced = ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
  if (!traced) ::_exit(untraced_exit_code);
  ::raise(SIGSTOP);
}

int CutProcess::wait() const {
  int status = 0;
  must_trace(::waitpid(pid_, &status, 0), "waitpid");
  return status;
}

bool CutProcess::wait_still() {
  const int status = wait();
  if (!WIFSTOPPED(status)) {
    pid_ = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == untraced_exit_code) return false;
    throw std::runtime_error("the process has ended before it was cut off");
  }
  must_trace(::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACESYSGOOD), "PTRACE_SETOPTIONS");
  return true;
}

// The number comes with the beginning alone.
void CutProcess::look() {
  __ptrace_syscall_info info{};
  must_trace(::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info), "PTRACE_GET_SYSCALL_INFO");
  place_.begins = info.op == PTRACE_SYSCALL_INFO_ENTRY;
  if (place_.begins) place_.call = info.entry.nr;
}

bool CutProcess::run(std::size_t n) {
  while (n-- != 0) {
    must_trace(::ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr), "PTRACE_SYSCALL");
    const int status = wait();
    if (!WIFSTOPPED(status)) {
      pid_ = -1;
      throw std::runtime_error("the process has ended before it was cut off");
    }
    if (WSTOPSIG(status) != system_call_stop) return false;
    look();
  }
  return true;
}

void CutProcess::kill() noexcept {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) == pid_) {
  }
  pid_ = -1;
}

}  // namespace vhostx::test
