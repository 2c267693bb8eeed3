// SPDX-License-Identifier: BSD-3-Clause
// A process that is stopped after each of its instructions: each is an instant at which it could have been killed.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

namespace vhostx::test {

/// Runs `action` in a child process, one instruction at a time, after `before`, which runs as usual. Calls `look`
/// before the first one and after each, while the child stands still: what other processes can see then is what they
/// would see if it were killed there. A system call is one instruction. Returns how many instructions there were;
/// nothing where processes cannot be traced, as in some containers.
///
/// The child has the calling thread alone, and copies of all memory that is not shared. See share_with_children().
/// Throws where the child fails: `action` has thrown, or a signal has killed it.
std::optional<std::size_t> single_step(
    const std::function<void()>& action, const std::function<void()>& look,
    const std::function<void()>& before = [] {});

/// Runs `action` in a child process as usual, and waits for its end. Throws where it fails.
void run_in_child(const std::function<void()>& action);

/// Has child processes inherit this process's mappings of `file`, also those that are marked with MADV_DONTFORK, as
/// guests' memory is.
void share_with_children(int file);

}  // namespace vhostx::test
