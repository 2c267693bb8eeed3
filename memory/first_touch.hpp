// SPDX-License-Identifier: BSD-3-Clause
// Who pays for pages of a sparse file. A page that nobody has touched is allocated by the first touch and charged to
// the control group of whoever made it, for as long as the file has it. A front-end can let the library make that touch
// again and again, in one new file after the other, until the kernel ends the process at its memory limit.
//
// Where the process has such a limit, guest memory is registered with a userfaultfd: the first touch of a page then
// raises SIGBUS instead of allocating it, and the handler (bus_errors.hpp) allocates the page while there is room.
// Without a limit nothing is registered: the kernel allocates as ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <vhostx/result.hpp>

#include "base/memory_limit.hpp"
#include "memory/address.hpp"

namespace vhostx::memory {

/// What first touches may allocate for one port. Of the limit an eighth is kept for all else. While less than half is
/// free, a port gets at most another eighth: the rest is its neighbours'.
class TouchBudget {
 public:
  /// `limit` outlives this.
  explicit TouchBudget(const MemoryLimit& limit) noexcept : limit_(limit) {}

  /// False: no room for so many bytes. Any thread, async-signal-safe; reads the group's files once for each 64 KiB to
  /// 4 MiB.
  bool take(std::uint64_t bytes) noexcept;
  const MemoryLimit& limit() const noexcept { return limit_; }

 private:
  bool take_left(std::int64_t bytes) noexcept;
  bool refill() noexcept;

  const MemoryLimit& limit_;
  // Relaxed: amounts, whose order does not matter.
  std::atomic<std::int64_t> left_{0};
  std::atomic<std::uint64_t> scarce_{0};  // taken since less than half is free
};

/// Once a process, before memory is mapped, where SIGBUS is handled by bus_errors.hpp: looks for a limit and opens a
/// userfaultfd if there is one. Error: system (there is a limit, and no userfaultfd).
Result<void> guard_first_touches();

/// A budget for one port; null where first touches are not guarded. Throws std::bad_alloc.
std::shared_ptr<TouchBudget> make_touch_budget();

/// Registers `mapping`, whole pages of a file in shared memory (memfd, tmpfs). False: not guarded, or not such a file.
bool guard(HostSpan mapping) noexcept;

enum class FirstTouch : std::uint8_t {
  allocated,  ///< The access may be made again.
  no_room,    ///< It was not allocated: the budget says so.
  none,       ///< It is not for want of a page that the access failed.
};

/// Allocates the page at `address`, in a mapping that guard() has registered. Async-signal-safe.
FirstTouch allocate(std::uint64_t address, TouchBudget& budget) noexcept;

}  // namespace vhostx::memory
