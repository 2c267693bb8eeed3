// SPDX-License-Identifier: BSD-3-Clause
// VringLoans: the control side of a vring's loans: of the ring that runs, of one that waits for them at its stop, and
// of rings that waited long enough.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

#include "backend/running_vring.hpp"
#include "backend/vring_data.hpp"
#include "zerocopy/loan_table.hpp"

namespace vhostx::backend {

/// Control thread, but for state(). With a port without zero copy there are never any.
class VringLoans {
 public:
  VringLoans(const PortOptions& options, std::uint16_t index) noexcept;
  VringLoans(const VringLoans&) = delete;
  VringLoans& operator=(const VringLoans&) = delete;

  /// A ring starts with this snapshot: it lends while there is DmaMemory in it. Error: system; it copies then.
  Result<void> begin(RunningVring& first);
  /// A snapshot that takes the place of another one of the same ring; followed() when it has.
  void follow(RunningVring& next);
  /// Returns how many loans keep memory that is not in force any more.
  std::uint32_t followed() noexcept;

  /// The ring has stopped; `last` was in force, and its gate is shut.
  void stop(std::unique_ptr<const RunningVring> last) noexcept;
  /// After stop(): gives the driver what has come back. Returns how many loans are still out; 0: the ring is done with.
  std::uint32_t settle(VringDataState& data) noexcept;
  /// After stop(): gives the driver everything, whether it has come back or not. Returns how many loans had not.
  std::uint32_t give_up(VringDataState& data) noexcept;

  /// Whether the driver wants to know of what settle() and give_up() gave back, and is to be told in-band; once.
  bool take_call_in_band() noexcept { return std::exchange(call_in_band_, false); }

  /// Lets go of memory and of tables that no mbuf needs any more. False: nothing is left that would have to be looked
  /// at again.
  bool look_after() noexcept;

  /// Any thread.
  LoanState state() const noexcept;

 private:
  using Table = zerocopy::LoanTable::Owned;

  Table take_table() noexcept;
  void call(const net::BurstResult& given) noexcept;

  const bool lends_;
  const zerocopy::LoanLimits limits_;
  const bool from_guest_;
  std::unique_ptr<const RunningVring> last_;  // of a ring that waits for its loans
  bool call_in_band_ = false;
  const zerocopy::MemoryPin* pin_ = nullptr;  // of the snapshot in force

  mutable std::mutex lock_;  // state() against changes of these two
  Table table_;
  std::vector<Table> overdue_;
};

}  // namespace vhostx::backend
