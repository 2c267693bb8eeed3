// SPDX-License-Identifier: BSD-3-Clause
// SIGINT and SIGTERM as a descriptor: no handler, so nothing unsafe happens in one.
#include "tools/common/signals.hpp"

#include <pthread.h>
#include <signal.h>

#include <sys/signalfd.h>

namespace vhostx::tools {

UniqueFd catch_end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace vhostx::tools
