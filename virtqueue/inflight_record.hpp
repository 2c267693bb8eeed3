// SPDX-License-Identifier: BSD-3-Clause
// InflightRecord: what the device has taken from one split ring and not given back, where the next back-end finds it
// (vhost-user, "Inflight I/O tracking").
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include <vhostx/result.hpp>

#include "base/page_memory.hpp"
#include "virtqueue/inflight_area.hpp"

namespace vhostx::virtqueue {

struct RingLayout;
struct RingPosition;

/// Everything is stored when a burst is published, from a private copy of what the burst has taken and given back: so a
/// burst that rewinds leaves no trace. At every instant
///
///     used->idx + chains that the record says are in flight = the next avail entry that nobody has served,
///
/// as those that are in flight or used are all that come before that entry. For this a burst that keeps chains records
/// all that it took, in the order of the avail ring, before it shows the driver what it gives back; one that keeps none
/// has nothing to record of what it took. Then:
///
///     link what is given back to the list; last_batch_head; used->idx; clear them; used_idx
///
/// If used_idx is behind used->idx, the first entries of that list are in the used ring, and are cleared by recovery.
///
/// Nothing but recovery reads the shared memory, and that reads each field once. In pages of its own, as all that a
/// data thread writes each burst. The data thread's, or the control thread's while the gate is shut.
class InflightRecord : public InOwnPages {
 public:
  /// The record of `queue` of `area`, for a ring that starts at `position` (resume()). Recovers what an earlier
  /// back-end has left: its chains in flight are served again, in their order, as the next avail entries
  /// (copy_again()). Errors: protocol_violation (a version, size, index, list or entry that does not fit the ring:
  /// nothing was changed).
  static Result<std::shared_ptr<InflightRecord>> open(std::shared_ptr<const InflightArea> area, std::uint16_t queue,
                                                      const RingLayout& layout, const RingPosition& position);

  /// Chains of an earlier back-end that have not been taken again.
  std::uint16_t left() const noexcept { return again_left_; }

  /// The ring has stopped and all its chains were given back: the next open() begins anew, with a ring of any size. In
  /// a front-end's area that is not needed.
  void end() noexcept;

  // ---- a burst, by positions in the avail and in the used ring
  /// The chains at `position` and after it that are served again: copies at most `count` of their heads. Returns how
  /// many.
  [[gnu::noinline]] std::uint16_t copy_again(std::uint16_t position, std::uint16_t* heads,
                                             std::uint16_t count) const noexcept {
    const auto ahead = static_cast<std::uint16_t>(position - shown_);
    if (ahead >= again_left_) [[likely]]
      return 0;
    count = std::min(count, static_cast<std::uint16_t>(again_left_ - ahead));
    for (std::uint16_t i = 0; i < count; ++i) heads[i] = taken_[slot(position, i)];
    return count;
  }
  [[gnu::noinline]] void take(std::uint16_t position, const std::uint16_t* heads, std::uint16_t count) noexcept {
    for (std::uint16_t i = 0; i < count; ++i) taken_[slot(position, i)] = heads[i];
  }
  /// An entry that can never be given back.
  void skip(std::uint16_t position) noexcept { taken_[slot(position, 0)] = none; }
  [[gnu::noinline]] void give(std::uint16_t position, const std::uint16_t* heads, std::uint16_t count) noexcept {
    for (std::uint16_t i = 0; i < count; ++i) given_[slot(position, i)] = heads[i];
  }
  void keep() noexcept { keeps_ = true; }

  /// Before used->idx is stored: the burst's next avail entry, and the used entries that it has written. `stored` is
  /// called after each store into the record.
  template <typename Stored>
  [[gnu::noinline]] void before_index(std::uint16_t avail_next, std::uint16_t used_begin, std::uint16_t used_end,
                                      Stored stored) noexcept {
    if (keeps_) record_taken(avail_next, stored);
    const auto taken = static_cast<std::uint16_t>(avail_next - shown_);
    again_left_ = static_cast<std::uint16_t>(again_left_ - std::min(again_left_, taken));
    shown_ = avail_next;
    keeps_ = false;
    for (std::uint16_t at = used_begin; at != used_end; ++at) {
      const std::uint16_t head = given_[slot(at, 0)];
      store(entry(head) + inflight::next_at, last_batch_head_, stored);
      last_batch_head_ = head;
    }
    if (used_begin != used_end) store(region_ + inflight::last_batch_head_at, last_batch_head_, stored);
  }
  /// After it.
  template <typename Stored>
  [[gnu::noinline]] void after_index(std::uint16_t used_begin, std::uint16_t used_end, Stored stored) noexcept {
    for (std::uint16_t at = used_begin; at != used_end; ++at)
      store(entry(given_[slot(at, 0)]) + inflight::in_flight_at, std::uint8_t{0}, stored);
    store(region_ + inflight::used_idx_at, used_end, stored);
  }

 private:
  static constexpr std::uint16_t none = 0xffff;
  static constexpr std::size_t entries_max = 32768;

  // NOLINTNEXTLINE: the arrays are not cleared: only as much of them is touched as the ring has entries
  InflightRecord(std::shared_ptr<const InflightArea> area, std::uint16_t queue, std::uint32_t size,
                 std::uint16_t used_index) noexcept
      : area_(std::move(area)), region_(area_->region(queue)), mask_(size - 1), shown_(used_index) {}

  struct Found;
  Result<Found> read(const RingLayout& layout) const;
  void initialise() noexcept;
  void adopt(const Found& found) noexcept;

  // Chains that are served again stay as an earlier back-end has marked them. With new counters, the next one would
  // take them after those of their kind that nobody has taken yet.
  template <typename Stored>
  void record_taken(std::uint16_t avail_next, Stored stored) noexcept {
    const auto taken = static_cast<std::uint16_t>(avail_next - shown_);
    for (auto at = static_cast<std::uint16_t>(shown_ + std::min(again_left_, taken)); at != avail_next; ++at) {
      const std::uint16_t head = taken_[slot(at, 0)];
      if (head == none) continue;
      store(entry(head) + inflight::counter_at, ++counter_, stored);
      store(entry(head) + inflight::in_flight_at, std::uint8_t{1}, stored);
    }
  }

  std::uint32_t slot(std::uint16_t position, std::uint16_t i) const noexcept {
    return static_cast<std::uint16_t>(position + i) & mask_;
  }
  std::uint8_t* entry(std::uint16_t head) const noexcept {
    return region_ + inflight::header_bytes + std::size_t{head} * inflight::entry_bytes;
  }
  /// A release each: whoever reads them after our end sees them in this order, and so does the compiler.
  template <typename T, typename Stored>
  static void store(std::uint8_t* at, T value, Stored stored) noexcept {
    __atomic_store_n(reinterpret_cast<T*>(at), value, __ATOMIC_RELEASE);
    stored();
  }

  const std::shared_ptr<const InflightArea> area_;
  std::uint8_t* const region_;
  const std::uint32_t mask_;
  std::uint64_t counter_ = 0;                     // of the chain that was taken last
  std::uint16_t last_batch_head_ = 0;             // as in the shared memory
  std::uint16_t shown_;                           // the next avail entry when the last burst ended
  std::uint16_t again_left_ = 0;                  // heads in taken_ from shown_ on, to be served again
  bool keeps_ = false;                            // the burst keeps chains
  std::array<std::uint16_t, entries_max> taken_;  // heads, by the slot of their avail entry
  std::array<std::uint16_t, entries_max> given_;  // heads, by the slot of their used entry
};

}  // namespace vhostx::virtqueue
