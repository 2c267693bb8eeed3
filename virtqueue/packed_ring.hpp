// SPDX-License-Identifier: BSD-3-Clause
// The packed virtqueue's shared memory (VIRTIO 1.2, 2.8). This is the only file that touches it: it has every load and
// store of descriptor ring and event structures. Each fence names its partner in the driver.
#pragma once

#include <cstdint>

#include "memory/load_hook.hpp"
#include "memory/load_once.hpp"
#include "virtqueue/ring.hpp"
#include "virtqueue/ring_marks.hpp"

namespace vhostx::virtqueue {

/// VIRTIO 1.2, 2.8.1: flags beside those of Descriptor.
inline constexpr std::uint16_t packed_avail_flag = 1 << 7;
inline constexpr std::uint16_t packed_used_flag = 1 << 15;

/// A place in the ring, as SET_VRING_BASE has it: its index in bits 0 to 14, the wrap counter of this lap in bit 15.
struct PackedPosition {
  static constexpr std::uint16_t wrap_bit = 1 << 15;

  std::uint16_t value = wrap_bit;  ///< Where a fresh ring begins: both counters are 1 (2.8.1).

  constexpr std::uint32_t index() const noexcept { return value & ~std::uint32_t{wrap_bit}; }
  constexpr bool wrap() const noexcept { return (value & wrap_bit) != 0; }
  /// `entries` further on in a ring of `size` entries; at most a lap.
  constexpr PackedPosition after(std::uint32_t entries, std::uint32_t size) const noexcept {
    const std::uint32_t next = index() + entries;
    const std::uint32_t wrap = value & wrap_bit;
    return {static_cast<std::uint16_t>(next < size ? next | wrap : (next - size) | (wrap ^ wrap_bit))};
  }
  constexpr PackedPosition before(std::uint32_t entries, std::uint32_t size) const noexcept {
    const std::uint16_t other = value ^ wrap_bit;
    return entries <= index() ? PackedPosition{static_cast<std::uint16_t>(value - entries)}
                              : PackedPosition{static_cast<std::uint16_t>(other + size - entries)};
  }
  /// Entries from an earlier place, at most a lap before, to this one.
  constexpr std::uint32_t since(PackedPosition earlier, std::uint32_t size) const noexcept {
    return index() - earlier.index() + (wrap() == earlier.wrap() ? 0 : size);
  }
  /// The two flags of a descriptor here that the driver has made available, and of one that the device has used.
  constexpr std::uint16_t available() const noexcept { return wrap() ? packed_avail_flag : packed_used_flag; }
  constexpr std::uint16_t used() const noexcept {
    return wrap() ? packed_avail_flag | packed_used_flag : std::uint16_t{0};
  }
  constexpr bool is_available(std::uint16_t flags) const noexcept {
    return (flags & (packed_avail_flag | packed_used_flag)) == available();
  }
  friend constexpr bool operator==(PackedPosition, PackedPosition) = default;
};

/// A descriptor as it was read: the words of a RawDescriptor, in which id and flags have changed places. Chain and what
/// is above it hold it as a RawDescriptor.
struct PackedDescriptor : RawDescriptor {
  constexpr std::uint16_t id() const noexcept { return static_cast<std::uint16_t>(rest >> 32); }
  constexpr std::uint16_t flags() const noexcept { return static_cast<std::uint16_t>(rest >> 48); }
  /// Both, the flags in the upper half.
  constexpr std::uint32_t tail() const noexcept { return static_cast<std::uint32_t>(rest >> 32); }
};

/// struct pvirtq_desc (2.8.13): {address u64, length u32, id u16, flags u16} for each entry. Written by both.
class PackedTable {
 public:
  static constexpr std::size_t entry_bytes = 16;

  PackedTable() = default;
  explicit PackedTable(const std::uint8_t* shared) noexcept : shared_(const_cast<std::uint8_t*>(shared)) {}

  /// Its address, for NUMA placement.
  const std::uint8_t* begin() const noexcept { return shared_; }
  /// For waiting on a change (monitor instructions).
  const volatile std::uint16_t* flags_address(std::uint32_t index) const noexcept {
    return reinterpret_cast<const std::uint16_t*>(at(index) + 14);
  }

  /// Pairs with the driver's write barrier before it stores the flags of a chain's first descriptor (2.8.21): what that
  /// chain consists of is loaded after it.
  std::uint16_t flags_acquire(std::uint32_t index) const noexcept {
    return load_word<__ATOMIC_ACQUIRE>(reinterpret_cast<const std::uint16_t*>(at(index) + 14));
  }
  /// A descriptor, each byte read once. The word with the flags is first, and an acquire as above.
  [[gnu::always_inline]] PackedDescriptor load(std::uint32_t index) const noexcept { return load_entry(at(index)); }
  /// The same of an entry by its address, for loops over entries in a row.
  const std::uint8_t* entry(std::uint32_t index) const noexcept { return at(index); }
  [[gnu::always_inline]] static PackedDescriptor load_entry(const std::uint8_t* entry) noexcept {
    const std::uint64_t rest = __atomic_load_n(reinterpret_cast<const std::uint64_t*>(entry + 8), __ATOMIC_ACQUIRE);
    memory::loaded(entry + 8, sizeof rest);
    return {{memory::load_once<std::uint64_t>(entry), rest}};
  }
  /// Id (low) and flags (high) of a descriptor after a chain's first: where the chain ends.
  std::uint32_t load_tail(std::uint32_t index) const noexcept {
    return memory::load_once<std::uint32_t>(at(index) + 12);
  }

  /// What a used descriptor says. The address is the driver's and stays.
  static constexpr std::uint64_t used(PackedPosition where, std::uint16_t id, std::uint32_t written) noexcept {
    const std::uint16_t flags = where.used() | (written != 0 ? Descriptor::write_flag : std::uint16_t{0});
    return written | std::uint64_t{id} << 32 | std::uint64_t{flags} << 48;
  }
  /// The same, with a mark: all entries that it stands for look used. NEXT is reserved in used descriptors, and drivers
  /// ignore it (2.8.6). Whoever finds the ring later (PackedLayout::find_position()) knows what comes behind.
  static constexpr std::uint64_t used_whole(PackedPosition where, std::uint16_t id, std::uint32_t written) noexcept {
    return used(where, id, written) | std::uint64_t{Descriptor::next_flag} << 48;
  }
  static constexpr bool is_whole(std::uint16_t used_flags) noexcept {
    return (used_flags & Descriptor::next_flag) != 0;
  }
  /// A descriptor that the driver has made available, which the device has, as the driver writes it.
  void set_available(PackedPosition where, const PackedDescriptor& descriptor) noexcept {
    constexpr std::uint64_t both = packed_avail_flag | packed_used_flag;
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(at(where.index())), descriptor.address, __ATOMIC_RELAXED);
    set_used_release(where.index(), (descriptor.rest & ~(both << 48)) | std::uint64_t{where.available()} << 48);
  }
  /// Not the first of a burst: the driver does not look at it before it has seen that one. The control thread may, to
  /// know where buffers are.
  void set_used(std::uint32_t index, std::uint64_t element) noexcept { set_used_entry(at(index), element); }
  static void set_used_entry(const std::uint8_t* entry, std::uint64_t element) noexcept {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(const_cast<std::uint8_t*>(entry) + 8), element, __ATOMIC_RELAXED);
  }
  /// The first of a burst, which shows all of it. Pairs with the driver's read barrier between the flags and the rest
  /// (2.8.22). Our stores of the others, and our loads and stores of buffers, come before it.
  void set_used_release(std::uint32_t index, std::uint64_t element) noexcept {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(at(index) + 8), element, __ATOMIC_RELEASE);
  }
  /// The same, unless the driver has written there since it was read. A release, as the one before.
  bool replace(std::uint32_t index, std::uint64_t was, std::uint64_t element) noexcept {
    return __atomic_compare_exchange_n(reinterpret_cast<std::uint64_t*>(at(index) + 8), &was, element, false,
                                       __ATOMIC_RELEASE, __ATOMIC_RELAXED);
  }

 private:
  std::uint8_t* at(std::uint32_t index) const noexcept { return shared_ + index * entry_bytes; }

  std::uint8_t* shared_ = nullptr;
};

/// struct pvirtq_event_suppress (2.8.14): {place u16, flags u16}. One is written by the driver, and one by us.
class PackedEvent {
 public:
  static constexpr std::size_t bytes = 4;
  enum Flags : std::uint16_t { enable = 0, disable = 1, at_place = 2 };
  struct Value {
    PackedPosition place;
    std::uint16_t flags;
  };

  PackedEvent() = default;
  explicit PackedEvent(const std::uint8_t* shared) noexcept
      : shared_(reinterpret_cast<std::uint32_t*>(const_cast<std::uint8_t*>(shared))) {}

  const std::uint8_t* begin() const noexcept { return reinterpret_cast<const std::uint8_t*>(shared_); }
  /// Both words in one access, so that they belong together. Relaxed: full_fence() is between each of them and the
  /// descriptors that it belongs to.
  Value load() const noexcept {
    const std::uint32_t both = __atomic_load_n(shared_, __ATOMIC_RELAXED);
    memory::loaded(shared_, sizeof both);
    return {{static_cast<std::uint16_t>(both)}, static_cast<std::uint16_t>(both >> 16)};
  }
  void store(const RingMarks auto& marks, const Value& value) noexcept {
    __atomic_store_n(shared_, value.place.value | std::uint32_t{value.flags} << 16, __ATOMIC_RELAXED);
    marks.mark_ring(0, bytes);
  }

 private:
  std::uint32_t* shared_ = nullptr;
};

}  // namespace vhostx::virtqueue
