// SPDX-License-Identifier: BSD-3-Clause
// Signals for eventfds that a peer holds too. write() is not for those: O_NONBLOCK belongs to the open file, so the
// peer can switch it off, fill the counter, and have whoever writes wait until it reads. Where the kernel adds to the
// counter by itself, as it does when an asynchronous read has ended (IOCB_FLAG_RESFD), nobody waits: a full counter
// stays full.
#pragma once

#include <vhostx/result.hpp>

namespace vhostx {

/// Sets up what signal_peer() needs: a context for asynchronous I/O for each CPU, at most 16, once a process. They are
/// the process's until it ends; a child after fork() has none, and prepares its own. Costs about 10 us and a few
/// pages of memory a context. Any thread. Error: system (no AIO in this kernel or sandbox, or fs.aio-max-nr is used
/// up): signal_peer() works all the same, but a peer can make it wait.
Result<void> prepare_peer_signals() noexcept;

/// Adds 1 to the counter of an eventfd, unless it is full: then whoever waits for it is signalled already. Never waits
/// once prepare_peer_signals() was good. Any thread; one system call, about 0.5 us longer than write().
void signal_peer(int eventfd) noexcept;

}  // namespace vhostx
