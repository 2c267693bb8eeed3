// SPDX-License-Identifier: BSD-3-Clause
// Signals for eventfds that a peer holds too. write() could block there: O_NONBLOCK belongs to the open file, so the
// peer can switch it off, fill the counter, and make every writer wait until it reads. The kernel never waits when it
// adds to the counter itself, as it does at the end of an asynchronous read (IOCB_FLAG_RESFD): a full counter stays
// full.
#pragma once

#include <vhostx/result.hpp>

namespace vhostx {

/// Sets up what signal_peer() needs: a context for asynchronous I/O for each CPU, at most 16, once for the process.
/// They exist until the process ends. A child after fork() has none and prepares its own. Costs about 10 us and a few
/// pages of memory a context. Any thread. Error: system (no AIO in this kernel or sandbox, or fs.aio-max-nr is used
/// up). signal_peer() still works then, but a peer can make it wait.
Result<void> prepare_peer_signals() noexcept;

/// Adds 1 to the counter of an eventfd. A full counter stays: its reader has been signalled already. Never waits
/// after prepare_peer_signals() succeeded. Any thread; one system call, about 0.5 us longer than write().
void signal_peer(int eventfd) noexcept;

}  // namespace vhostx
