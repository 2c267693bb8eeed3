// SPDX-License-Identifier: BSD-3-Clause
// MemoryTable: the regions of a front-end. Each change builds a new GuestMemory, which then replaces the old: all or
// nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "memory/dirty_log.hpp"
#include "memory/guest_memory.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::backend {

class MemoryTable {
 public:
  /// `alarm` is signalled when a region loses pages; lost() then says which. `budget` is the port's, for pages that
  /// first touches allocate; null: they are not counted.
  MemoryTable(memory::MemoryLimits limits, std::shared_ptr<const EventFd> alarm,
              std::shared_ptr<memory::TouchBudget> budget) noexcept
      : limits_(limits), alarm_(std::move(alarm)), budget_(std::move(budget)) {}

  /// GPA_ADDRESSES: the front-end sends guest addresses instead of its own. A region's front-end address should repeat
  /// the guest address and is ignored. Error: protocol_violation (there are regions already, whose addresses would
  /// change their meaning).
  Result<void> count_by_guest_addresses(bool on);

  /// SET_MEM_TABLE: these regions and no others. Errors as MappedRegion::map() and GuestMemory::create().
  Result<void> set(protocol::Message& message);
  /// ADD_MEM_REG. The same errors, and limit: the same region was added too often.
  Result<void> add(protocol::Message& message);
  /// REM_MEM_REG: the region with this guest address, size and front-end address (unless that is ignored). It is gone
  /// once it was removed as often as it was added. Error: protocol_violation (no such region).
  Result<void> remove(protocol::Message& message);

  /// From now on each memory must be within this log; null: it may be any. Error: protocol_violation (the current one
  /// is not).
  Result<void> log_into(std::shared_ptr<const memory::DirtyLog> log);

  /// Null while there are no regions.
  const std::shared_ptr<const memory::GuestMemory>& current() const noexcept { return current_; }
  /// Which current region has lost pages: its guest address, and the address of the access.
  std::optional<Error> lost() const;

 private:
  using Regions = std::vector<std::shared_ptr<const memory::MappedRegion>>;

  memory::RegionDescription describe(const protocol::MemoryRegion& region) const noexcept;
  Result<void> add_again(const memory::MappedRegion& region);
  Result<void> publish(Regions regions);
  static Result<void> check_log(const memory::DirtyLog* log, const memory::GuestMemory* memory);

  memory::MemoryLimits limits_;
  bool by_guest_addresses_ = false;
  std::shared_ptr<const EventFd> alarm_;
  std::shared_ptr<memory::TouchBudget> budget_;
  std::map<const memory::MappedRegion*, unsigned> repeats_;  // of current regions: how often they were added again
  std::shared_ptr<const memory::DirtyLog> log_;              // covers current_; null: nothing is logged
  std::shared_ptr<const memory::GuestMemory> current_;
};

}  // namespace vhostx::backend
