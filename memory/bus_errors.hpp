// SPDX-License-Identifier: BSD-3-Clause
// What becomes of an access to memory that its owner has taken away.
//
// A front-end keeps the files behind guest memory and may shrink them at any instant; a huge page may not be there when
// it is first touched. The access then raises SIGBUS in whatever thread makes it (CVE-2026-86561). The handler here
// puts zeroed private memory in the mapping's place, notes it and signals an eventfd; the access goes on, in memory
// that no guest sees any more, and the control thread ends the connection. Where first touches are guarded
// (first_touch.hpp), the handler allocates the page instead, while there is room.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/event_fd.hpp"
#include "memory/address.hpp"
#include "memory/first_touch.hpp"

namespace vhostx::memory {

/// A mapping that may lose its pages. Any thread; the mapping must stay until this is gone.
class LosableMapping {
 public:
  /// `mapping` in whole pages of its file system. `alarm` is signalled by the first loss; it may be null. `budget` is
  /// that of a mapping whose first touches are guarded, else null. Throws std::bad_alloc.
  LosableMapping(HostSpan mapping, std::shared_ptr<const EventFd> alarm, std::shared_ptr<TouchBudget> budget = {});
  ~LosableMapping();
  LosableMapping(const LosableMapping&) = delete;
  LosableMapping& operator=(const LosableMapping&) = delete;

  /// Where it was first touched in vain, bytes from its begin; nothing while it is whole.
  std::optional<std::uint64_t> lost_at() const noexcept;
  /// Of a lost one, whether its budget had no room. Null: it was the file that had no page.
  const MemoryLimit* no_room_in() const noexcept;

  const std::shared_ptr<const EventFd>& alarm() const noexcept { return alarm_; }
  const std::shared_ptr<TouchBudget>& budget() const noexcept { return budget_; }

  struct Slot;

 private:
  Slot* slot_;
  std::shared_ptr<const EventFd> alarm_;
  std::shared_ptr<TouchBudget> budget_;
};

/// Makes SIGBUS come here from now on, once a process. What is not about a LosableMapping goes to the action that was
/// in force before, or ends the process as ever. False, with errno: sigaction failed.
bool handle_bus_errors() noexcept;

/// What the handler does, for applications that have one of their own. True: the access may be made again. May be
/// called in a signal handler.
bool recover_from_bus_error(const siginfo_t& info) noexcept;

}  // namespace vhostx::memory
