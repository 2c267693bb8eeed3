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
#include "memory/load_once.hpp"
#include "memory/mapped_region.hpp"
#include "virtqueue/ring_areas.hpp"

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

/// The same of a packed ring's, whose version and desc_num are where a split ring's are.
namespace packed_inflight {
inline constexpr std::size_t free_at = 12;  // u16 free_head, u16 old_free_head
inline constexpr std::size_t used_at = 16;  // u16 used_idx, u16 old_used_idx, u8 used_wrap_counter, u8 the old one
inline constexpr std::size_t header_bytes = 32;
inline constexpr std::size_t in_flight_at = 0;    // u8, of an entry
inline constexpr std::size_t next_at = 2;         // u16
inline constexpr std::size_t last_at = 4;         // u16
inline constexpr std::size_t num_at = 6;          // u16
inline constexpr std::size_t counter_at = 8;      // u64
inline constexpr std::size_t descriptor_at = 16;  // u16 id, u16 flags, u32 len
inline constexpr std::size_t address_at = 24;     // u64
inline constexpr std::size_t entry_bytes = 32;
}  // namespace packed_inflight

/// One region for each queue, one after the other, each rounded up to 64 bytes as DPDK does (the specification says
/// nothing of alignment). Immutable, except that its file may lose pages. What is in it belongs to an InflightRecord.
class InflightArea {
 public:
  /// Of which queues, and how large they are; all counts are at least 1.
  struct Shape {
    std::uint16_t queues = 1;
    std::uint16_t queue_size = 1;  ///< Entries.
    RingKind kind = RingKind::split;

    /// Bytes of the region of one queue, and of all.
    constexpr std::uint64_t region_bytes() const noexcept {
      constexpr std::uint64_t unit = 64;
      const bool split = kind == RingKind::split;
      const std::uint64_t header = split ? inflight::header_bytes : packed_inflight::header_bytes;
      const std::uint64_t entry = split ? inflight::entry_bytes : packed_inflight::entry_bytes;
      return (header + entry * queue_size + unit - 1) / unit * unit;
    }
    constexpr std::uint64_t bytes() const noexcept { return queues * region_bytes(); }
  };

  /// A new file for regions of this shape, all zero, whose size nobody can change. Error: system.
  static Result<UniqueFd> create_file(const Shape& shape);

  /// Maps shape.bytes() from `offset` of `file`. `alarm` and `budget` as for MappedRegion::map(). Errors:
  /// protocol_violation (an offset that is no multiple of 8; the file is too small, or none), system, out_of_memory.
  static Result<std::shared_ptr<const InflightArea>> map(UniqueFd file, std::uint64_t offset, const Shape& shape,
                                                         std::shared_ptr<const EventFd> alarm = {},
                                                         std::shared_ptr<memory::TouchBudget> budget = {});

  const Shape& shape() const noexcept { return shape_; }
  /// The region of `queue`, which is below shape().queues.
  std::uint8_t* region(std::uint16_t queue) const noexcept {
    return map_->at(queue * static_cast<std::size_t>(shape_.region_bytes()));
  }
  /// Whether no back-end has begun a record in that region, or it was ended.
  bool is_new(std::uint16_t queue) const noexcept {
    return memory::load_once<std::uint16_t>(region(queue) + inflight::version_at) == 0;
  }
  /// Whether its file had no page for it: then what is stored is lost.
  bool is_lost() const noexcept { return map_->lost_at().has_value(); }

 private:
  InflightArea(std::shared_ptr<const memory::MappedRegion> map, const Shape& shape) noexcept
      : map_(std::move(map)), shape_(shape) {}

  const std::shared_ptr<const memory::MappedRegion> map_;
  const Shape shape_;
};

}  // namespace vhostx::virtqueue
