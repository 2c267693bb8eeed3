// SPDX-License-Identifier: BSD-3-Clause
// InflightArea: the memory in which a front-end keeps what its back-end has taken from the rings (vhost-user,
// "Inflight I/O tracking").
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "memory/mapped_region.hpp"

namespace vhostx::virtqueue {

/// Where the fields of a split ring's region are, in bytes: a header, and an entry for each descriptor.
namespace inflight {
inline constexpr std::size_t version_at = 8;           // u16; 0: not initialised
inline constexpr std::size_t desc_num_at = 10;         // u16
inline constexpr std::size_t last_batch_head_at = 12;  // u16
inline constexpr std::size_t used_idx_at = 14;         // u16
inline constexpr std::size_t header_bytes = 16;
inline constexpr std::size_t in_flight_at = 0;  // u8, of an entry
inline constexpr std::size_t next_at = 6;       // u16
inline constexpr std::size_t counter_at = 8;    // u64
inline constexpr std::size_t entry_bytes = 16;
inline constexpr std::uint16_t version = 1;
}  // namespace inflight

/// One region for each queue, one after the other, each rounded up to 64 bytes as DPDK does (the specification says
/// nothing of alignment). Immutable, except that its file may lose pages. What is in it belongs to an InflightRecord.
class InflightArea {
 public:
  /// Bytes of the region of one queue of `queue_size` entries.
  static constexpr std::uint64_t region_bytes(std::uint16_t queue_size) noexcept {
    constexpr std::uint64_t unit = 64;
    return (inflight::header_bytes + inflight::entry_bytes * std::uint64_t{queue_size} + unit - 1) / unit * unit;
  }
  static constexpr std::uint64_t bytes_for(std::uint16_t queues, std::uint16_t queue_size) noexcept {
    return queues * region_bytes(queue_size);
  }

  /// A new file for `queues` regions, all zero, whose size nobody can change. Error: system.
  static Result<UniqueFd> create_file(std::uint16_t queues, std::uint16_t queue_size);

  /// Maps bytes_for(queues, queue_size) from `offset` of `file`; both counts are at least 1. `alarm` and `budget` as
  /// for MappedRegion::map(). Errors: protocol_violation (an offset that is no multiple of 8; the file is too small, or
  /// none), system, out_of_memory.
  static Result<std::shared_ptr<const InflightArea>> map(UniqueFd file, std::uint64_t offset, std::uint16_t queues,
                                                         std::uint16_t queue_size,
                                                         std::shared_ptr<const EventFd> alarm = {},
                                                         std::shared_ptr<memory::TouchBudget> budget = {});

  std::uint16_t queues() const noexcept { return queues_; }
  std::uint16_t queue_size() const noexcept { return queue_size_; }
  /// The region of `queue`, which is below queues().
  std::uint8_t* region(std::uint16_t queue) const noexcept {
    return map_->at(queue * static_cast<std::size_t>(region_bytes(queue_size_)));
  }
  /// Whether its file had no page for it: then what is stored is lost.
  bool is_lost() const noexcept { return map_->lost_at().has_value(); }

 private:
  InflightArea(std::shared_ptr<const memory::MappedRegion> map, std::uint16_t queues, std::uint16_t queue_size) noexcept
      : map_(std::move(map)), queues_(queues), queue_size_(queue_size) {}

  const std::shared_ptr<const memory::MappedRegion> map_;
  const std::uint16_t queues_;
  const std::uint16_t queue_size_;
};

}  // namespace vhostx::virtqueue
