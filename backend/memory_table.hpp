// SPDX-License-Identifier: BSD-3-Clause
// MemoryTable: the regions a front-end has given. Each change is a new GuestMemory, built aside: all or nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "memory/guest_memory.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::backend {

class MemoryTable {
 public:
  /// `alarm` is signalled when a region loses pages under the library: lost() then says which. `budget` is the port's,
  /// for pages that first touches allocate; null where they are not counted.
  MemoryTable(memory::MemoryLimits limits, std::shared_ptr<const EventFd> alarm,
              std::shared_ptr<memory::TouchBudget> budget) noexcept
      : limits_(limits), alarm_(std::move(alarm)), budget_(std::move(budget)) {}

  /// GPA_ADDRESSES: the front-end gives guest addresses where it otherwise gives its own. A region's address of its own
  /// is to repeat the guest address, and is not looked at. Error: protocol_violation (this changes while there are
  /// regions: their addresses would mean something else).
  Result<void> count_by_guest_addresses(bool on);

  /// SET_MEM_TABLE: these regions and no others. Errors as MappedRegion::map() and GuestMemory::create().
  Result<void> set(protocol::Message& message);
  /// ADD_MEM_REG. Errors likewise; limit: the same region given more often than there are queue pairs.
  Result<void> add(protocol::Message& message);
  /// REM_MEM_REG: the region of this guest address, size and front-end address (if that counts); it goes when it was
  /// removed as often as it was added. Error: protocol_violation (no such).
  Result<void> remove(const protocol::Message& message);

  /// Null while there are no regions.
  const std::shared_ptr<const memory::GuestMemory>& current() const noexcept { return current_; }
  /// Where a current region has lost pages: its guest address and an address that was touched in vain.
  std::optional<Error> lost() const;

 private:
  using Regions = std::vector<std::shared_ptr<const memory::MappedRegion>>;

  memory::RegionDescription describe(const protocol::MemoryRegion& region) const noexcept;
  Result<void> add_again(const memory::MappedRegion& region);
  Result<void> publish(Regions regions);

  memory::MemoryLimits limits_;
  bool by_guest_addresses_ = false;
  std::shared_ptr<const EventFd> alarm_;
  std::shared_ptr<memory::TouchBudget> budget_;
  std::map<const memory::MappedRegion*, unsigned> repeats_;  // of current regions: how often they were added again
  std::shared_ptr<const memory::GuestMemory> current_;
};

}  // namespace vhostx::backend
