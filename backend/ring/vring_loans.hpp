// SPDX-License-Identifier: BSD-3-Clause
// VringLoans: the control side of a vring's loans: those of the running ring, of a stopped ring that waits for them,
// and of rings whose wait timed out.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

#include "backend/ring/running_vring.hpp"
#include "backend/ring/vring_data.hpp"
#include "zerocopy/loan_table.hpp"

namespace vhostx::backend {

/// Control thread, except for state(). Without zero copy there are never loans.
class VringLoans {
 public:
  VringLoans(const PortOptions& options, std::uint16_t index, VringDataState& data) noexcept;
  VringLoans(const VringLoans&) = delete;
  VringLoans& operator=(const VringLoans&) = delete;

  /// A ring starts with this snapshot. It lends if the snapshot has DmaMemory. Error: system; the ring copies then.
  Result<void> begin(RunningVring& first);
  /// Prepares a snapshot that will replace the ring's current one. Call followed() once it has.
  void follow(RunningVring& next);
  /// Returns how many loans keep older memory.
  std::uint32_t followed() noexcept;

  /// The ring has stopped; `last` was its snapshot, and its gate is shut.
  void stop(std::unique_ptr<const RunningVring> last) noexcept;
  /// After stop(): returns chains that have come back to the driver; to give up, also those still lent. Returns how
  /// many loans are still out. The ring is finished when there are none, or they were given up.
  std::uint32_t settle(bool give_up) noexcept;

  /// Whether the driver wants an in-band call for what settle() returned; true once.
  bool take_call_in_band() noexcept { return std::exchange(call_in_band_, false); }

  /// Releases memory and tables that no mbuf needs any more. False: nothing is left to check again.
  bool look_after() noexcept;

  /// Any thread.
  LoanState state() const noexcept;

 private:
  using Table = zerocopy::LoanTable::Owned;

  Table take_table() noexcept;
  net::BurstResult call(const net::BurstResult& given) noexcept;

  const bool lends_;
  const zerocopy::LoanLimits limits_;
  const bool from_guest_;
  VringDataState& data_;                      // of the vring; used while its gate is shut
  std::unique_ptr<const RunningVring> last_;  // the snapshot of a ring that waits for its loans
  bool call_in_band_ = false;
  const zerocopy::MemoryPin* pin_ = nullptr;  // of the current snapshot

  mutable std::mutex lock_;  // state() against changes of these two
  Table table_;
  std::vector<Table> overdue_;
};

}  // namespace vhostx::backend
