// SPDX-License-Identifier: BSD-3-Clause
// Handles access to guest memory that its owner has taken away.
//
// A front-end keeps the files behind guest memory and may shrink them at any time, and a huge page may be missing at
// its first touch. The access then raises SIGBUS in the thread that makes it (CVE-2026-86561). The handler here
// replaces the mapping by zeroed private memory, records that, and signals an eventfd. The access continues, in memory
// that no guest sees, and the control thread ends the connection. If first touches are guarded (first_touch.hpp), the
// handler allocates the page instead, while there is room.
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
  /// `mapping` is whole pages of its file system. `alarm` is signalled by the first loss; it may be null. `budget` is
  /// for a mapping whose first touches are guarded, else null. Throws std::bad_alloc.
  LosableMapping(HostSpan mapping, std::shared_ptr<const EventFd> alarm, std::shared_ptr<TouchBudget> budget = {});
  ~LosableMapping();
  LosableMapping(const LosableMapping&) = delete;
  LosableMapping& operator=(const LosableMapping&) = delete;

  /// Offset in bytes of the first access that found no page; nothing while the mapping is whole.
  std::optional<std::uint64_t> lost_at() const noexcept;
  /// For a lost mapping: the limit that had no room for the page. Null: the file had no page.
  const MemoryLimit* no_room_in() const noexcept;

  const std::shared_ptr<const EventFd>& alarm() const noexcept { return alarm_; }
  const std::shared_ptr<TouchBudget>& budget() const noexcept { return budget_; }

  struct Slot;

 private:
  Slot* slot_;
  std::shared_ptr<const EventFd> alarm_;
  std::shared_ptr<TouchBudget> budget_;
};

/// Installs the handler of SIGBUS, once for the process. A SIGBUS outside every LosableMapping goes to the action that
/// was installed before, or ends the process as usual. False, with errno: sigaction failed.
bool handle_bus_errors() noexcept;

/// What the handler does, for applications with a handler of their own. True: return from the handler, the access is
/// then made again. May be called in a signal handler.
bool recover_from_bus_error(const siginfo_t& info) noexcept;

}  // namespace vhostx::memory
