// SPDX-License-Identifier: BSD-3-Clause
// RingLayout: a ring's checked pointers. Made when a ring starts or its memory changes; immutable.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "memory/guest_memory.hpp"
#include "memory/window.hpp"
#include "virtqueue/ring.hpp"
#include "virtqueue/ring_areas.hpp"

namespace vhostx::virtqueue {

struct RingLayout {
  const std::uint8_t* descriptors = nullptr;
  AvailRing avail;
  UsedRing used;
  std::uint32_t size = 0;
  RingFeatures features;
  /// Windows of areas that are in two regions; null for an area in one.
  std::array<std::shared_ptr<const memory::Window>, 3> windows;

  /// The three areas: descriptor table, avail ring, used ring. For NUMA placement and reports.
  std::array<memory::HostSpan, 3> areas() const noexcept;
  /// Whether the ring was in use before: by a driver, or by an earlier back-end that switched kicks off in it.
  bool was_used() const noexcept;
  /// Whether the driver has written nothing at all: no index, and no first descriptor. Descriptors come first; a driver
  /// may also chain the free ones when it starts, before it has anything to say.
  bool is_untouched() const noexcept;

  std::uint32_t slot(std::uint16_t index) const noexcept { return index & (size - 1); }
  RawDescriptor descriptor(std::uint16_t index) const noexcept {
    return load_descriptor(descriptors + std::size_t{index} * sizeof(Descriptor));
  }
};

constexpr std::size_t descriptor_table_bytes(std::uint32_t size) noexcept { return size * sizeof(Descriptor); }

/// A ring size as VIRTIO 1.2, 2.7 allows it: 1 to 32768, a power of two. Error: protocol_violation.
Result<void> check_ring_size(std::uint32_t size);

/// Translates and checks the three areas (with their event index). Each must be inside one region or two adjacent ones,
/// aligned to 16, 2 and 4 bytes (2.7), and overlap no other. Errors: protocol_violation, which names the area; system
/// (memory::Window).
Result<RingLayout> lay_out_ring(const memory::GuestMemory& memory, const RingAddresses& addresses, std::uint32_t size,
                                RingFeatures features);

}  // namespace vhostx::virtqueue
