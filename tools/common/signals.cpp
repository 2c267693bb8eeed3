// SPDX-License-Identifier: BSD-3-Clause
// SIGINT, SIGTERM and SIGHUP as a descriptor: no handler, so nothing unsafe happens in one.
#include "tools/common/signals.hpp"

#include <pthread.h>
#include <signal.h>

#include <sys/signalfd.h>

namespace vhostx::tools {
namespace {

/// nohup, and whoever else wants a program to outlive its terminal, says so in this way.
bool is_ignored(int number) {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

UniqueFd catch_end_signals() { return catch_signals({SIGINT, SIGTERM, SIGHUP}); }

UniqueFd catch_signals(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals)
    if (number != SIGHUP || !is_ignored(SIGHUP)) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace vhostx::tools
