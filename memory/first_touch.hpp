// SPDX-License-Identifier: BSD-3-Clause
// Limits the memory that pages of sparse files cost this process. The first touch of a page allocates it and charges it
// to the control group of the toucher, for as long as the file has the page. A front-end can make the library touch
// page after page, in one new file after the other, until the kernel kills the process at its memory limit.
//
// If the process has such a limit, guest memory is registered with a userfaultfd. The first touch of a page then raises
// SIGBUS instead of allocating it, and the handler (bus_errors.hpp) allocates the page while there is room. Without a
// limit nothing is registered and the kernel allocates as usual.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "base/memory_limit.hpp"
#include "memory/address.hpp"

namespace vhostx::memory {

/// How much first touches may allocate for one port. An eighth of the limit is reserved for everything else. While less
/// than half of the limit is free, a port gets at most another eighth; the rest is for other ports.
class TouchBudget {
 public:
  /// `limit` outlives this.
  explicit TouchBudget(const MemoryLimit& limit) noexcept : limit_(limit) {}

  /// False: no room for that many bytes. Any thread, async-signal-safe. Reads the control group's files once for each
  /// 64 KiB to 4 MiB.
  bool take(std::uint64_t bytes) noexcept;
  const MemoryLimit& limit() const noexcept { return limit_; }

 private:
  bool take_left(std::int64_t bytes) noexcept;
  bool refill() noexcept;

  const MemoryLimit& limit_;
  // Relaxed: only amounts, which order nothing.
  std::atomic<std::int64_t> left_{0};
  std::atomic<std::uint64_t> scarce_{0};  // taken since less than half was free
};

/// Call once for the process, before memory is mapped, if bus_errors.hpp handles SIGBUS. Looks for a limit and opens a
/// userfaultfd if there is one. Error: system (there is a limit but no userfaultfd).
Result<void> guard_first_touches();

/// A budget for one port; null if first touches are not guarded. Throws std::bad_alloc.
std::shared_ptr<TouchBudget> make_touch_budget();

/// Registers `mapping`, whole pages of a file in shared memory (memfd, tmpfs). False: not guarded, or not such a file.
bool guard(HostSpan mapping) noexcept;

enum class FirstTouch : std::uint8_t {
  allocated,  ///< The access may be made again.
  no_room,    ///< Not allocated: the budget has no room.
  none,       ///< Not allocated: the access failed for another reason than a missing page.
};

/// Allocates the page at `address`, in a mapping that guard() has registered. Async-signal-safe.
FirstTouch allocate(std::uint64_t address, TouchBudget& budget) noexcept;

}  // namespace vhostx::memory
