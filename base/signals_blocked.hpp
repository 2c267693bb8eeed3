// SPDX-License-Identifier: BSD-3-Clause
// SignalsBlocked: blocks signals while the library starts a thread, which inherits the mask.
#pragma once

#include <csignal>
#include <initializer_list>

namespace vhostx {

/// The application's own threads handle its signals. Faults stay unblocked: a blocked fault ends the process.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace vhostx
