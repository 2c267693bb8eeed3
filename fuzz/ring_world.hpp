// SPDX-License-Identifier: BSD-3-Clause
// What fuzzers of rings share: two regions of guest memory that hold anything, and a ring in the first.
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
  std::uint8_t size_exponent;   ///< Ring size 1 to 128.
  std::uint8_t to_guest;        ///< Odd: a receiveq.
  std::uint8_t features;        ///< One bit a feature, below.
  std::uint8_t packet_length;   ///< Of packets to the guest, in units of 16 bytes.
  std::uint16_t start;          ///< Where both indices begin.
  std::uint16_t available;      ///< avail->idx in the first burst,
  std::uint8_t more_available;  ///< and how much it moves on before each of the next.
  std::uint8_t bursts;
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

/// Bursts over the ring as VringCore makes them: none after a fault, and more available before each.
template <typename Burst>
void run_bursts(const Control& control, Burst burst) {
  auto& guest = world().guest;
  const std::uint32_t size = 1U << (control.size_exponent % 8);
  const virtqueue::RingFeatures ring_features{.indirect = true, .event_idx = (control.features & 0x80) != 0};
  const auto layout = virtqueue::lay_out_ring(
      *world().memory, {guest.front_end(base), guest.front_end(avail_at), guest.front_end(used_at)}, size,
      ring_features);
  require(layout.ok());
  virtqueue::VringCursor cursor{.position = {.avail_next = control.start, .used_next = control.start}};
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

/// False: not an input.
inline bool read_input(const std::uint8_t* data, std::size_t size, Control& control) {
  if (size < sizeof control || size - sizeof control > 2 * region_bytes) return false;
  std::memcpy(&control, data, sizeof control);
  fill_memory(data + sizeof control, size - sizeof control);
  return true;
}

}  // namespace vhostx::fuzz
