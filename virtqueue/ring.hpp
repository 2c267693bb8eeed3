// SPDX-License-Identifier: BSD-3-Clause
// The split virtqueue's shared memory (VIRTIO 1.2, 2.7). This is the only file that touches it: it has every load and
// store of descriptor table, avail ring and used ring. Each fence names its partner in the driver.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "memory/load_hook.hpp"
#include "memory/load_once.hpp"
#include "virtqueue/ring_marks.hpp"

namespace vhostx::virtqueue {

static_assert(std::endian::native == std::endian::little,
              "rings are little-endian (VERSION_1) or guest-endian (legacy): neither is byte-swapped here");

/// One word that the driver may be writing at this moment.
template <int order = __ATOMIC_RELAXED>
std::uint16_t load_word(const std::uint16_t* shared) noexcept {
  const std::uint16_t word = __atomic_load_n(shared, order);
  memory::loaded(shared, sizeof word);
  return word;
}

inline constexpr std::uint32_t ring_size_max = 32768;  // VIRTIO 1.2, 2.7

/// VIRTIO 1.2, 2.7.5.
struct Descriptor {
  static constexpr std::uint16_t next_flag = 1;
  static constexpr std::uint16_t write_flag = 2;  // device-writable
  static constexpr std::uint16_t indirect_flag = 4;

  std::uint64_t address = 0;  // guest physical
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;
};
static_assert(sizeof(Descriptor) == 16);

/// A descriptor as it was read: two words, unpacked when a field is used. That makes batches of them cheap.
struct RawDescriptor {
  std::uint64_t address;
  std::uint64_t rest;

  constexpr std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(rest); }
  constexpr std::uint16_t flags() const noexcept { return static_cast<std::uint16_t>(rest >> 32); }
  constexpr std::uint16_t next() const noexcept { return static_cast<std::uint16_t>(rest >> 48); }
  Descriptor unpack() const noexcept { return {address, length(), flags(), next()}; }
};

/// Copies a descriptor out of shared memory, reading each byte once: the copy is checked, and the copy is used.
/// Indirect tables may be unaligned.
inline RawDescriptor load_descriptor(const std::uint8_t* shared) noexcept {
  return {memory::load_once<std::uint64_t>(shared), memory::load_once<std::uint64_t>(shared + 8)};
}

/// struct virtq_avail (2.7.6): flags, idx, ring[size], used_event. Written by the driver.
class AvailRing {
 public:
  static constexpr std::uint16_t no_interrupt_flag = 1;
  static constexpr std::size_t extent(std::uint32_t size, bool event_idx) noexcept {
    return 4 + 2 * std::size_t{size} + (event_idx ? 2 : 0);
  }

  AvailRing() = default;
  AvailRing(const std::uint8_t* shared, std::uint32_t size) noexcept
      : words_(reinterpret_cast<const std::uint16_t*>(shared)), size_(size) {}

  /// Its address, for NUMA placement.
  const std::uint8_t* begin() const noexcept { return reinterpret_cast<const std::uint8_t*>(words_); }

  /// For waiting on a change (monitor instructions); the index itself is not read through it.
  const volatile std::uint16_t* index_address() const noexcept { return words_ + 1; }

  /// Pairs with the driver's write barrier between its ring entries and idx (2.7.13.3). Load entries, descriptors and
  /// buffers only after it, by relaxed or plain loads: before it they may be those of the round before
  /// (ring_order.pml).
  std::uint16_t index_acquire() const noexcept { return load_word<__ATOMIC_ACQUIRE>(words_ + 1); }
  std::uint16_t entry(std::uint32_t slot) const noexcept { return load_word(words_ + 2 + slot); }
  /// Copies `count` entries from `slot` on; they must not wrap at the end of the ring. Each is read once, four a load.
  /// Returns the bitwise OR of all.
  std::uint16_t copy_entries(std::uint32_t slot, std::uint32_t count, std::uint16_t* heads) const noexcept {
    constexpr std::size_t group = sizeof(std::uint64_t) / sizeof(std::uint16_t);
    const std::uint16_t* from = words_ + 2 + slot;
    std::uint16_t* const end = heads + count;
    std::uint64_t all = 0;
    for (std::uint16_t* const grouped = heads + count / group * group; heads != grouped;
         heads += group, from += group) {
      const auto some = memory::load_once<std::uint64_t>(reinterpret_cast<const std::uint8_t*>(from));
      std::memcpy(heads, &some, sizeof some);
      all |= some;
    }
    all |= all >> 32;
    all |= all >> 16;
    for (; heads != end; ++heads, ++from) all |= * heads = load_word(from);
    return static_cast<std::uint16_t>(all);
  }
  std::uint16_t flags() const noexcept { return load_word(words_); }
  std::uint16_t used_event() const noexcept { return load_word(words_ + 2 + size_); }

 private:
  const std::uint16_t* words_ = nullptr;
  std::uint32_t size_ = 0;
};

/// struct virtq_used (2.7.8): flags, idx, ring[size] of {id u32, len u32}, avail_event. Written by us. What is written
/// is marked then.
class UsedRing {
 public:
  static constexpr std::uint16_t no_notify_flag = 1;
  static constexpr std::size_t extent(std::uint32_t size, bool event_idx) noexcept {
    return 4 + 8 * std::size_t{size} + (event_idx ? 2 : 0);
  }

  UsedRing() = default;
  UsedRing(const std::uint8_t* shared, std::uint32_t size) noexcept
      : shared_(const_cast<std::uint8_t*>(shared)), size_(size) {}

  /// Its address, for NUMA placement.
  const std::uint8_t* begin() const noexcept { return shared_; }

  template <RingMarks Marks>
  void set_entry(const Marks& marks, std::uint32_t slot, std::uint16_t head, std::uint32_t length) noexcept {
    element(slot)->value = std::uint64_t{length} << 32 | head;
    marks.mark_ring(offset(slot), sizeof(Element));
  }
  /// Writes `count` entries from `slot` on; they must not wrap at the end of the ring. `length(i)` is called for each.
  template <RingMarks Marks, typename Length>
  void set_entries(const Marks& marks, std::uint32_t slot, std::uint32_t count, const std::uint16_t* heads,
                   Length length) noexcept {
    volatile Element* const to = element(slot);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < count; ++i) to[i].value = std::uint64_t{length(i)} << 32 | heads[i];
    marks.mark_ring(offset(slot), count * sizeof(Element));
  }
  /// Pairs with the driver's read barrier between idx and the entries (2.7.14). Our stores of the entries, and our
  /// loads and stores of buffers, come before it: the driver may reuse both at once (ring_order.pml).
  void set_index_release(const RingMarks auto& marks, std::uint16_t index) noexcept {
    __atomic_store_n(word(2), index, __ATOMIC_RELEASE);
    marks.mark_ring(2, sizeof index);
  }
  std::uint16_t index() const noexcept { return load_word(word(2)); }
  std::uint16_t flags() const noexcept { return load_word(word(0)); }
  /// These two, and the loads of AvailRing's flags and used_event, are relaxed: full_fence() is between each of them
  /// and the index that it belongs to.
  void set_flags(const RingMarks auto& marks, std::uint16_t flags) noexcept {
    __atomic_store_n(word(0), flags, __ATOMIC_RELAXED);
    marks.mark_ring(0, sizeof flags);
  }
  std::uint16_t avail_event() const noexcept { return load_word(avail_event_word()); }
  void set_avail_event(const RingMarks auto& marks, std::uint16_t index) noexcept {
    __atomic_store_n(avail_event_word(), index, __ATOMIC_RELAXED);
    marks.mark_ring(offset(size_), sizeof index);
  }

 private:
  static constexpr std::size_t offset(std::uint32_t slot) noexcept { return 4 + 8 * std::size_t{slot}; }
  std::uint16_t* word(std::size_t at) const noexcept { return reinterpret_cast<std::uint16_t*>(shared_ + at); }
  struct __attribute__((packed, may_alias)) Element {
    std::uint64_t value;
  };
  volatile Element* element(std::uint32_t slot) const noexcept {
    return reinterpret_cast<volatile Element*>(shared_ + offset(slot));
  }
  std::uint16_t* avail_event_word() const noexcept { return word(offset(size_)); }

  std::uint8_t* shared_ = nullptr;
  std::uint32_t size_ = 0;
};

/// Makes our store of used->idx, or of the request to be kicked, visible before we read what the driver wrote last. The
/// driver has the same fence between its store of avail->idx and its load of used->flags or avail_event (2.7.13.4.1,
/// Linux: virtio_mb() in virtqueue_kick_prepare and virtqueue_enable_cb). Acquire and release are not enough: they let
/// a load overtake a store, and then both sides may sleep (notification_order.pml). A fence between processors is
/// enough: drivers that need one for devices ask for ORDER_PLATFORM, which is not offered.
inline void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

/// Whether the index passed `event` between `before` and `now` (2.7.10.1: vring_need_event).
constexpr bool event_passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) noexcept {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace vhostx::virtqueue
