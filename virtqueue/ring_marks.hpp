// SPDX-License-Identifier: BSD-3-Clause
// What a queue marks of what it does: nothing; or what it writes, in the dirty log of a guest that migrates, and what
// it takes and gives back, in the front-end's record.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/address.hpp"
#include "memory/dirty_log.hpp"
#include "virtqueue/inflight_record.hpp"

namespace vhostx::virtqueue {

class PackedInflightRecord;

/// Marks pages after they were written, and before the driver is shown what was written. Records a split ring's chains:
/// see InflightRecord, whose functions the last six are. PackedQueue asks for its record itself.
template <typename M>
concept RingMarks = requires(const M& marks, memory::GuestAddress address, std::size_t bytes, std::uint16_t position,
                             std::uint16_t* heads, const std::uint16_t* ids, std::uint16_t count) {
  // Whether it marks anything; if not, guest addresses of buffers need not be kept.
  { M::active } -> std::convertible_to<bool>;
  // Bytes of a buffer.
  marks.mark(address, bytes);
  // Bytes of the part of the ring that the device writes, by their offset in it.
  marks.mark_ring(bytes, bytes);
  // Descriptors of a packed ring that the device has written. Its event structure is the part above.
  marks.mark_table(address, bytes);
  // Heads from an avail entry on that an earlier back-end has taken; how many.
  { marks.copy_again(position, heads, count) } -> std::same_as<std::uint16_t>;
  // Chains from an avail entry on, an entry without one, and those that the burst keeps.
  marks.take(position, ids, count);
  marks.skip(position);
  marks.keep();
  // Chains from a used entry on.
  marks.give(position, ids, count);
  // Before and after the driver is shown the used entries: the next avail entry, and these from one on and before
  // another.
  marks.before_index(position, position, position);
  marks.after_index(position, position);
};

/// Of a guest that does not migrate, and whose front-end keeps no record.
struct NoMarks {
  static constexpr bool active = false;
  void mark(memory::GuestAddress, std::size_t) const noexcept {}
  void mark_ring(std::size_t, std::size_t) const noexcept {}
  void mark_table(memory::GuestAddress, std::size_t) const noexcept {}
  std::uint16_t copy_again(std::uint16_t, std::uint16_t*, std::uint16_t) const noexcept { return 0; }
  void take(std::uint16_t, const std::uint16_t*, std::uint16_t) const noexcept {}
  void skip(std::uint16_t) const noexcept {}
  void keep() const noexcept {}
  void give(std::uint16_t, const std::uint16_t*, std::uint16_t) const noexcept {}
  void before_index(std::uint16_t, std::uint16_t, std::uint16_t) const noexcept {}
  void after_index(std::uint16_t, std::uint16_t) const noexcept {}
};

/// Of a guest whose writes are logged, whose chains are recorded, or both.
struct LogMarks {
  static constexpr bool active = true;

  const memory::DirtyLog* log = nullptr;     ///< Null: nothing is logged.
  std::optional<memory::GuestAddress> ring;  ///< Where its used ring is logged; none: it is not (VHOST_VRING_F_LOG).
  InflightRecord* record = nullptr;          ///< Null: nothing is recorded. Of a split ring.
  PackedInflightRecord* packed_record = nullptr;

  /// What PackedInflightRecord calls after each of its stores; a test does more.
  static constexpr auto stored() noexcept {
    return [] {};
  }

  void mark(memory::GuestAddress address, std::size_t bytes) const noexcept {
    if (log != nullptr) log->mark(address, bytes);
  }
  void mark_ring(std::size_t offset, std::size_t bytes) const noexcept {
    if (log != nullptr && ring) log->mark({ring->value + offset}, bytes);
  }
  void mark_table(memory::GuestAddress address, std::size_t bytes) const noexcept {
    if (log != nullptr && ring) log->mark(address, bytes);
  }

  std::uint16_t copy_again(std::uint16_t position, std::uint16_t* heads, std::uint16_t count) const noexcept {
    if (record == nullptr) [[likely]]
      return 0;
    return record->copy_again(position, heads, count);
  }
  void take(std::uint16_t position, const std::uint16_t* heads, std::uint16_t count) const noexcept {
    if (record != nullptr) [[unlikely]]
      record->take(position, heads, count);
  }
  void skip(std::uint16_t position) const noexcept {
    if (record != nullptr) [[unlikely]]
      record->skip(position);
  }
  void keep() const noexcept {
    if (record != nullptr) [[unlikely]]
      record->keep();
  }
  void give(std::uint16_t position, const std::uint16_t* heads, std::uint16_t count) const noexcept {
    if (record != nullptr) [[unlikely]]
      record->give(position, heads, count);
  }
  void before_index(std::uint16_t avail_next, std::uint16_t used_begin, std::uint16_t used_end) const noexcept {
    if (record != nullptr) [[unlikely]]
      record->before_index(avail_next, used_begin, used_end, [] {});
  }
  void after_index(std::uint16_t used_begin, std::uint16_t used_end) const noexcept {
    if (record != nullptr) [[unlikely]]
      record->after_index(used_begin, used_end, [] {});
  }
};

}  // namespace vhostx::virtqueue
