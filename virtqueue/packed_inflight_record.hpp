// SPDX-License-Identifier: BSD-3-Clause
// PackedInflightRecord: InflightRecord of a packed ring (vhost-user, "Inflight I/O tracking").
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <vhostx/result.hpp>

#include "base/page_memory.hpp"
#include "virtqueue/inflight_area.hpp"
#include "virtqueue/packed_layout.hpp"
#include "virtqueue/vring_cursor.hpp"

namespace vhostx::virtqueue {

/// Used descriptors overwrite descriptors, so the record copies those of each chain that was taken, into entries from a
/// list of free ones. Everything is stored when a burst is published, and a burst on a recorded ring writes into the
/// ring only then (PackedQueue). At every instant
///
///     old_used + ring entries of the chains in flight = the first ring entry of the next chain that nobody has taken,
///
/// and what begins at old_used was not used, or the burst that used it was published whole. For this a burst stores
///
///     of each chain that it took: its copy, in_flight; then it goes off the free list (free_head, old_free_head)
///     of all that it gives back: their place on the list; free_head; used
///     the ring: used descriptors, the first one last
///     in_flight = 0 of each; old_free_head; old_used
///
/// Who finds used and old_used apart looks at the ring there: published or not. A chain on the free list is not in
/// flight, whatever it says.
///
/// Recovery writes chains in flight back into the ring, from old_used on and in their order, so that they are served as
/// if the driver had just made them available: until they are used, those entries are the device's. Then it takes
/// them off the record from the last one on, so that it can be cut off anywhere and done again.
///
/// Nothing but recovery reads the shared memory, and that reads each field once. Threads as for InflightRecord.
class PackedInflightRecord : public InOwnPages {
 public:
  /// The record of `queue` of `area`, for a ring that starts. Recovers what an earlier back-end has left; `log`: where
  /// writes to the ring are marked, or null. A record of a ring in use is left alone, and is not this ring's, if
  /// nothing was ever used here. Errors: protocol_violation (a version, size, place, list or entry that does not fit
  /// the ring: nothing was changed).
  static Result<std::shared_ptr<PackedInflightRecord>> open(std::shared_ptr<const InflightArea> area,
                                                            std::uint16_t queue, const PackedLayout& layout);

  /// Where the ring goes on. None: this is a new record, which begin() has to be called for.
  std::optional<RingPosition> position() const noexcept { return position_; }
  void begin(const RingPosition& position) noexcept;

  /// Chains of an earlier back-end that are served again.
  std::uint16_t left() const noexcept { return left_; }

  /// The ring has stopped and all its chains were given back: the next open() makes a new record.
  void end() noexcept;

  // ---- a burst
  /// A chain that begins at entry `index` of the ring. What was put back is taken again from the same entry on.
  void take(std::uint32_t index, std::uint16_t id, std::uint32_t entries) noexcept {
    taken_[index] = {id, static_cast<std::uint16_t>(entries)};
  }

  /// Before used descriptors are written: the burst's next chain is at `avail_next`, it gives back `count` chains, and
  /// used descriptors go on at `used_next`. `stored` is called after each store into the record.
  template <typename Stored>
  [[gnu::noinline]] void before_used(const PackedLayout& layout, PackedPosition avail_next, const PackedAside* given,
                                     std::uint32_t count, PackedPosition used_next, Stored stored) noexcept {
    for (; shown_ != avail_next; shown_ = shown_.after(taken_[shown_.index()].entries, layout.size))
      record_taken(layout, stored);
    if (count == 0) return;
    const std::uint16_t old_free = free_head_;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint16_t head = forget(given[i].id);
      given_[i] = head;
      if (head != none) free(head, stored);
    }
    store_free(old_free, stored);
    store_used(used_next, stored);
  }
  /// After the first of them was.
  template <typename Stored>
  [[gnu::noinline]] void after_used(std::uint32_t count, PackedPosition used_next, Stored stored) noexcept {
    for (std::uint32_t i = 0; i < count; ++i)
      if (given_[i] != none) store(entry(given_[i]) + packed_inflight::in_flight_at, std::uint8_t{0}, stored);
    store_free(free_head_, stored);
    used_ = used_next;
    store_used(used_next, stored);
  }

 private:
  static constexpr std::uint16_t none = 0xffff;
  static constexpr std::size_t entries_max = 32768;
  static constexpr std::size_t ids = 65536;

  struct Taken {
    std::uint16_t id;
    std::uint16_t entries;
  };
  struct Found;

  // NOLINTNEXTLINE: the arrays are not cleared: only as much of them is touched as the ring has entries
  PackedInflightRecord(std::shared_ptr<const InflightArea> area, std::uint16_t queue) noexcept
      : area_(std::move(area)), region_(area_->region(queue)), size_(area_->shape().queue_size) {}

  Result<Found> read(const PackedLayout& layout) const;
  void adopt(const Found& found, const PackedLayout& layout) noexcept;

  /// The chain at shown_: its descriptors are as the driver wrote them. One for which no entry is free has an id that
  /// is in flight twice, which is the driver's doing.
  template <typename Stored>
  void record_taken(const PackedLayout& layout, Stored stored) noexcept {
    const auto [id, entries] = taken_[shown_.index()];
    if (entries > free_) return;
    const std::uint16_t head = free_head_;
    std::uint16_t last = head;
    std::uint32_t index = shown_.index();
    for (std::uint16_t i = 0; i < entries; ++i, index = index + 1 == layout.size ? 0 : index + 1) {
      last = free_head_;
      const PackedDescriptor descriptor = layout.table.load(index);
      store(entry(last) + packed_inflight::address_at, descriptor.address, stored);
      store(entry(last) + packed_inflight::descriptor_at, descriptor.rest << 32 | descriptor.rest >> 32, stored);
      free_head_ = next_[last];
    }
    store(entry(head) + packed_inflight::last_at, last, stored);
    store(entry(head) + packed_inflight::num_at, entries, stored);
    store(entry(head) + packed_inflight::counter_at, ++counter_, stored);
    store(entry(head) + packed_inflight::in_flight_at, std::uint8_t{1}, stored);
    store_free(free_head_, stored);
    free_ -= entries;
    chains_[head] = {last, entries, std::exchange(after_heads_[id], static_cast<std::uint16_t>(head + 1))};
  }
  /// The entry of the chain of this id that was taken last; it is not in flight any more.
  std::uint16_t forget(std::uint16_t id) noexcept {
    if (after_heads_[id] == 0) return none;
    const auto head = static_cast<std::uint16_t>(after_heads_[id] - 1);
    after_heads_[id] = chains_[head].after_same_id;
    return head;
  }
  /// Puts a chain's entries before the list of free ones; free_head is stored later.
  template <typename Stored>
  void free(std::uint16_t head, Stored stored) noexcept {
    next_[chains_[head].last] = free_head_;
    store(entry(chains_[head].last) + packed_inflight::next_at, free_head_, stored);
    free_head_ = head;
    free_ += chains_[head].entries;
  }

  /// Both in one store each: the new value and, as long as the ring has not been written, the old one.
  template <typename Stored>
  void store_free(std::uint16_t old, Stored stored) noexcept {
    store(region_ + packed_inflight::free_at, free_head_ | std::uint32_t{old} << 16, stored);
  }
  template <typename Stored>
  void store_used(PackedPosition next, Stored stored) noexcept {
    store(region_ + packed_inflight::used_at,
          std::uint64_t{next.index()} | std::uint64_t{used_.index()} << 16 | std::uint64_t{next.wrap()} << 32 |
              std::uint64_t{used_.wrap()} << 40,
          stored);
  }

  std::uint8_t* entry(std::uint16_t i) const noexcept {
    return region_ + packed_inflight::header_bytes + std::size_t{i} * packed_inflight::entry_bytes;
  }
  /// A release each: whoever reads them after our end sees them in this order, and so does the compiler.
  template <typename T, typename Stored>
  static void store(std::uint8_t* at, T value, Stored stored) noexcept {
    __atomic_store_n(reinterpret_cast<T*>(at), value, __ATOMIC_RELEASE);
    stored();
  }

  /// A chain in flight, by its first entry.
  struct Recorded {
    std::uint16_t last;
    std::uint16_t entries;
    std::uint16_t after_same_id;  // one before it, of a driver that uses an id twice
  };

  const std::shared_ptr<const InflightArea> area_;
  std::uint8_t* const region_;
  const std::uint16_t size_;
  std::optional<RingPosition> position_;
  std::uint16_t left_ = 0;
  std::uint64_t counter_ = 0;  // of the chain that was taken last
  PackedPosition shown_;       // the next chain when the last burst ended
  PackedPosition used_;        // old_used
  std::uint16_t free_head_ = 0;
  std::uint32_t free_ = 0;                        // entries on the list
  std::array<Taken, entries_max> taken_;          // by where chains begin in the ring
  std::array<std::uint16_t, entries_max> given_;  // first entries of what a burst gives back
  std::array<std::uint16_t, entries_max> next_;   // as in the shared memory
  std::array<Recorded, entries_max> chains_;
  std::array<std::uint16_t, ids> after_heads_;  // first entries and 1, by id; 0 is none: pages of one's own are zeroed
};

}  // namespace vhostx::virtqueue
