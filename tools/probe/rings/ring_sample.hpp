// SPDX-License-Identifier: BSD-3-Clause
// RingSample: what stands in a ring's memory at one moment. Guests write that memory, and it is believed in nothing: a
// sample costs bounded time, whatever the addresses and the contents are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tools/probe/rings/guest_memory.hpp"

namespace vhostx::tools::probe {

inline constexpr std::uint32_t ring_descriptors_max = 32768;  ///< VIRTIO 1.2, 2.7 and 2.8.10.1

/// Where the parts of a ring are (SET_VRING_ADDR). Of a packed ring `available` is the driver area, `used` the device
/// area.
struct RingAddresses {
  std::uint64_t descriptor = 0;
  std::uint64_t available = 0;
  std::uint64_t used = 0;
  friend bool operator==(const RingAddresses&, const RingAddresses&) = default;
};

/// Everything that has to be known to read it.
struct RingPlace {
  std::uint32_t size = 0;
  RingAddresses addresses;
  bool packed = false;       ///< VIRTIO_F_RING_PACKED
  bool event_index = false;  ///< VIRTIO_F_EVENT_IDX
  bool in_order = false;     ///< VIRTIO_F_IN_ORDER
  friend bool operator==(const RingPlace&, const RingPlace&) = default;
};

/// VIRTIO 1.2, 2.7.6 and 2.7.8.
struct SplitSample {
  std::uint16_t available_flags = 0;
  std::uint16_t available_index = 0;
  std::uint16_t used_flags = 0;
  std::uint16_t used_index = 0;
  std::optional<std::uint16_t> used_event;   ///< With EVENT_IDX: the driver wants a call when used_index passes it.
  std::optional<std::uint16_t> avail_event;  ///< With EVENT_IDX: the device wants a kick when available_index does.
};

/// An event suppression area (VIRTIO 1.2, 2.8.14).
struct EventArea {
  std::uint16_t offset = 0;  ///< Of a descriptor; counts where flags is 2.
  bool wrap = false;
  std::uint16_t flags = 0;  ///< 0: notify; 1: do not; 2: notify at `offset`. Only the two bits that have a meaning.
};

/// VIRTIO 1.2, 2.8.1: each side marks descriptors with its wrap counter, and a descriptor's AVAIL bit tells in which
/// lap the driver wrote it. So the place where that bit changes is where the driver goes on.
struct PackedSample {
  EventArea driver;                    ///< When the driver wants calls.
  EventArea device;                    ///< When the device wants kicks.
  std::uint32_t marked_available = 0;  ///< Descriptors with AVAIL != USED, also those within chains that were used.
  std::uint32_t marked_used = 0;       ///< AVAIL == USED: used, or never touched.
  std::uint32_t next_available = 0;    ///< Where the driver writes next, and
  bool driver_wrap = true;             ///< ... with which wrap counter.
};

struct RingSample {
  std::string problem;  ///< Why nothing could be read; empty: all below has a meaning.
  std::variant<SplitSample, PackedSample> layout;

  /// How far driver and device have got, in numbers that go round at `modulus`: of a split ring the indices, of a
  /// packed one descriptors, counted over two laps.
  std::uint32_t modulus = 65536;
  std::uint32_t available_position = 0;
  std::uint32_t used_position = 0;
  /// Made available and not used yet: so many chains, or down to in_flight_min. Of a packed ring with chains of several
  /// descriptors the number is not known exactly: a chain that was used shows only its first.
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_min = 0;
  double chains_per_step = 1;     ///< What positions count, in chains: less than 1 of a packed ring with longer ones.
  bool calls_suppressed = false;  ///< The driver asks for no call within the next `size` chains.
  bool kicks_suppressed = false;  ///< The device asks for no kick within them.
  std::vector<std::string> findings;

  bool ok() const noexcept { return problem.empty(); }
  bool exact() const noexcept { return in_flight == in_flight_min; }
  bool packed() const noexcept { return std::holds_alternative<PackedSample>(layout); }
};

/// Reads a ring. Of a packed one all descriptors, at most ring_descriptors_max of 16 bytes.
RingSample sample_ring(const GuestMemory& memory, const RingPlace& place);

}  // namespace vhostx::tools::probe
