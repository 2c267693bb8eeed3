// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/switch_signals.hpp"

#include <csignal>
#include <poll.h>
#include <unistd.h>

#include <sys/signalfd.h>
#include <sys/stat.h>

#include "tools/common/signals.hpp"

namespace vhostx::tools {
namespace {

/// The kernel has hung up a terminal of ours before it sends SIGHUP for it.
bool terminal_is_gone() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    pollfd hung{fd, 0, 0};
    if (::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && ::poll(&hung, 1, 0) == 1 &&
        (hung.revents & POLLHUP) != 0)
      return true;
  }
  return false;
}

}  // namespace

UniqueFd catch_switch_signals() { return catch_signals({SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}); }

SwitchSignal next_signal(const UniqueFd& signals) {
  signalfd_siginfo signal{};
  if (::read(signals.get(), &signal, sizeof signal) != sizeof signal) return SwitchSignal::none;
  switch (static_cast<int>(signal.ssi_signo)) {
    case SIGWINCH:
      return SwitchSignal::resized;
    case SIGTSTP:
      return SwitchSignal::stop;
    case SIGHUP:
      return terminal_is_gone() ? SwitchSignal::end : SwitchSignal::hang_up;
    default:
      return SwitchSignal::end;
  }
}

}  // namespace vhostx::tools
