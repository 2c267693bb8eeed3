// SPDX-License-Identifier: BSD-3-Clause
// What fuzzers of rings share: two regions of guest memory that hold anything, and a ring of either kind in the first.
//
// Input: the Control below, then what memory holds, from the descriptor table on.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "net/ring_context.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/support/eal.hpp"
#include "tests/support/fake_guest.hpp"

namespace vhostx::fuzz {

struct Control {
  std::uint8_t size_exponent;   ///< Ring size 1 to 128. Bit 3: packed; the upper half is how many entries fewer it has.
  std::uint8_t to_guest;        ///< Odd: a receiveq. The other bits are the fuzzer's.
  std::uint8_t features;        ///< One bit a feature, below.
  std::uint8_t packet_length;   ///< Of packets to the guest, in units of 16 bytes.
  std::uint16_t start;          ///< Where both indices begin; in a packed ring with the wrap counter.
  std::uint16_t available;      ///< avail->idx in the first burst; in a packed ring so many entries turn available,
  std::uint8_t more_available;  ///< and how much it moves on before each of the next.
  std::uint8_t bursts;          ///< Bit 3: IN_ORDER, bit 4: no indirect tables, bit 5: notifications are on.

  bool is_to_guest() const noexcept { return to_guest % 2 == 1; }
  bool is_packed() const noexcept { return (size_exponent & 8) != 0; }
  std::uint32_t size() const noexcept {
    const std::uint32_t most = 1U << (size_exponent % 8);
    return is_packed() ? most - (size_exponent >> 4) % most : most;
  }
  virtqueue::RingFeatures ring_features() const noexcept {
    return {.indirect = (bursts & 16) == 0, .event_idx = (features & 0x80) != 0, .in_order = (bursts & 8) != 0};
  }
};

// Neighbours for the guest, two mappings for us: buffers and tables lie across the border.
constexpr std::uint64_t base = 0x10000;
constexpr std::size_t region_bytes = 0x8000;
constexpr std::uint64_t avail_at = base + 0x1000;
constexpr std::uint64_t used_at = base + 0x2000;
constexpr std::uint16_t burst_max = 64;

inline void require(bool condition) {
  if (!condition) std::abort();
}

struct World {
  World() : guest({{base, region_bytes}, {base + region_bytes, region_bytes}}), memory(guest.map()) {
    test::start_eal();
  }
  test::FakeGuest guest;
  std::shared_ptr<const memory::GuestMemory> memory;
};

inline World& world() {
  static World only;
  return only;
}

inline void fill_memory(const std::uint8_t* data, std::size_t size) {
  for (std::size_t region = 0; region < 2; ++region) {
    std::uint8_t* at = world().guest.at(base + region * region_bytes);
    const std::size_t part = std::min(size, region_bytes);
    std::memcpy(at, data, part);
    std::memset(at + part, 0, region_bytes - part);
    data += part;
    size -= part;
  }
}

inline std::uint64_t features_of(std::uint8_t bits) {
  constexpr std::array<std::uint64_t, 7> all{net::feature_version_1, net::feature_mrg_rxbuf,  net::feature_csum,
                                             net::feature_host_tso4, net::feature_guest_csum, net::feature_guest_tso4,
                                             net::feature_guest_uso4};
  std::uint64_t features = 0;
  for (std::size_t i = 0; i < all.size(); ++i) features |= (bits >> i & 1) != 0 ? all[i] : 0;
  return features;
}

inline rte_mempool* pool() { return test::test_pool(2048, 255); }

/// Where a ring's three areas are.
inline virtqueue::RingAddresses ring_at(std::uint64_t offset = 0) {
  const auto& guest = world().guest;
  return {guest.front_end(base + offset), guest.front_end(avail_at + offset), guest.front_end(used_at + offset)};
}

/// Bursts over the ring as VringCore makes them: none after a fault, and more available before each.
template <typename Burst>
void run_split_bursts(const Control& control, Burst burst) {
  auto& guest = world().guest;
  const std::uint32_t size = control.size();
  const auto layout = virtqueue::lay_out_ring(*world().memory, ring_at(), size, control.ring_features());
  require(layout.ok());
  virtqueue::VringCursor cursor{.position = {.avail_next = control.start, .used_next = control.start}};
  cursor.position.notifications = (control.bursts & 32) != 0;
  net::RingCounters counters;
  const net::SplitContext context{*layout, *world().memory, cursor, counters, features_of(control.features), 9022};
  std::uint16_t available = control.available;
  const int bursts = control.bursts % 8;
  for (int i = 0; i <= bursts; ++i) {
    std::memcpy(guest.at(avail_at) + 2, &available, sizeof available);
    if (cursor.fault.cause != VringFaultCause::none) break;
    burst(context, i == bursts);
    available = static_cast<std::uint16_t>(available + control.more_available);
  }
  // Nothing is given back that was not taken.
  const auto taken = static_cast<std::uint16_t>(cursor.position.avail_next - control.start);
  const auto returned = static_cast<std::uint16_t>(cursor.position.used_next - control.start);
  require(returned <= taken || taken > 8 * size);
}

/// The driver makes the next entries available, whatever they hold.
inline void turn_flags(const virtqueue::PackedLayout& layout, virtqueue::PackedPosition at, std::uint32_t entries) {
  for (std::uint32_t i = 0; i < std::min(entries, layout.size); ++i, at = at.after(1, layout.size)) {
    std::uint8_t* const flags = world().guest.at(base + at.index() * virtqueue::PackedTable::entry_bytes + 14);
    std::uint16_t value = 0;
    std::memcpy(&value, flags, sizeof value);
    constexpr std::uint16_t both = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
    value = static_cast<std::uint16_t>((value & ~both) | at.available());
    std::memcpy(flags, &value, sizeof value);
  }
}

/// The same over a packed ring. What is available is also what memory says.
template <typename Burst>
void run_packed_bursts(const Control& control, Burst burst) {
  using virtqueue::PackedPosition;
  const std::uint32_t size = control.size();
  const auto layout = virtqueue::lay_out_packed(*world().memory, ring_at(), size, control.ring_features());
  require(layout.ok());
  const auto start = static_cast<std::uint16_t>((control.start & 0x8000) | (control.start & 0x7fff) % size);
  virtqueue::VringCursor cursor{.position = {.avail_next = start, .used_next = start}};
  cursor.position.notifications = (control.bursts & 32) != 0;
  net::RingCounters counters;
  const net::PackedContext context{*layout, *world().memory, cursor, counters, features_of(control.features), 9022};
  std::uint32_t available = control.available;
  const int bursts = control.bursts % 8;
  for (int i = 0; i <= bursts && cursor.fault.cause == VringFaultCause::none; ++i) {
    turn_flags(*layout, {cursor.position.avail_next}, available);
    burst(context, i == bursts);
    available = control.more_available;
    // What is out is never more than the ring, and what is given back was taken.
    const PackedPosition taken{cursor.position.avail_next}, used{cursor.position.used_next};
    require(taken.index() < size && used.index() < size && taken.since(used, size) <= size);
  }
}

template <typename Burst>
void run_bursts(const Control& control, Burst burst) {
  control.is_packed() ? run_packed_bursts(control, burst) : run_split_bursts(control, burst);
}

/// False: not an input.
inline bool read_input(const std::uint8_t* data, std::size_t size, Control& control) {
  if (size < sizeof control || size - sizeof control > 2 * region_bytes) return false;
  std::memcpy(&control, data, sizeof control);
  fill_memory(data + sizeof control, size - sizeof control);
  return true;
}

}  // namespace vhostx::fuzz
