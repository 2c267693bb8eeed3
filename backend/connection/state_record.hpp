// SPDX-License-Identifier: BSD-3-Clause
// StateRecord: what moves with a guest to another back-end (vhost-user "Migrating back-end state"), as bytes. No I/O
// here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <vhostx/result.hpp>
#include <vhostx/vring_stats.hpp>

namespace vhostx::backend {

/// On the wire, all numbers little-endian: "VHXSTATE", u32 version, u32 bytes of the sections together, the sections,
/// and u32 CRC-32 of all that precedes it. A section: u32 kind, u32 bytes, and these. Kinds that this version does not
/// know are skipped.
struct StateRecord {
  using Bytes = std::vector<std::byte>;

  std::optional<std::vector<VringStats>> statistics;  ///< One a vring, in their order.
  std::optional<Bytes> application;

  /// What a record may have beyond the application's state: statistics of all vrings, and sections that are not known.
  static constexpr std::size_t overhead_max = std::size_t{256} * 1024;

  Bytes serialize() const;
  /// Error: protocol_violation: what is wrong with the bytes. Counters that only the writer knew are left out, those
  /// that only the reader knows are 0.
  static Result<StateRecord> parse(std::span<const std::byte> bytes);
};

}  // namespace vhostx::backend
