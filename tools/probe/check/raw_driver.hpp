// SPDX-License-Identifier: BSD-3-Clause
// What a driver writes into its transmit ring by hand, without its DriverRing: all that was sent was taken back before.
#pragma once

#include <cstdint>
#include <span>

#include "tools/probe/check/guest.hpp"
#include "virtqueue/packed_ring.hpp"

namespace vhostx::tools::probe {

/// Of a frame's buffer, as it should be.
virtqueue::Descriptor honest_descriptor(Guest& guest);

/// Shows chain 0, of this one descriptor, in a ring of either kind.
void show_descriptor(Guest& guest, const virtqueue::Descriptor& one);

/// Shows chain 0 of a split ring `count` times, whatever its descriptors say.
void show_heads(Guest& guest, std::uint16_t count);
virtqueue::Descriptor* split_table(Guest& guest);
std::uint16_t* split_avail(Guest& guest);

/// A descriptor of a packed ring. `flags` are those beside the two that make it available.
struct RawPacked {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
};
/// Where the driver writes next in a packed ring.
virtqueue::PackedPosition packed_place(Guest& guest);
/// Writes descriptors from the driver's place on, the flags of the first one last.
void show_packed(Guest& guest, std::span<const RawPacked> descriptors);
/// Id (low half) and flags of the descriptor at a place now.
std::uint32_t packed_tail(Guest& guest, virtqueue::PackedPosition at);

}  // namespace vhostx::tools::probe
