// SPDX-License-Identifier: BSD-3-Clause
// The three areas of a ring, of either kind: from the addresses that SET_VRING_ADDR brings to checked pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "memory/guest_memory.hpp"
#include "memory/window.hpp"

namespace vhostx::virtqueue {

enum class RingKind : std::uint8_t { split, packed };  ///< packed: VIRTIO_F_RING_PACKED was negotiated.

/// "split" or "packed".
constexpr const char* name_of(RingKind kind) noexcept { return kind == RingKind::split ? "split" : "packed"; }

/// The addresses that SET_VRING_ADDR brings. In a packed ring `avail` is the driver's event structure and `used` the
/// device's.
struct RingAddresses {
  memory::FrontEndAddress descriptors;
  memory::FrontEndAddress avail;
  memory::FrontEndAddress used;
};

/// Features that change how a ring is read.
struct RingFeatures {
  bool indirect = false;   ///< VIRTIO_F_INDIRECT_DESC
  bool event_idx = false;  ///< VIRTIO_F_EVENT_IDX
  bool in_order = false;   ///< VIRTIO_F_IN_ORDER; changes what a packed ring may be given.
};

/// One of them, as it was asked for.
struct RingArea {
  const char* name;
  memory::FrontEndAddress address;
  std::size_t size;         ///< Bytes.
  std::uint64_t alignment;  ///< Bytes.
};

/// As they were found.
struct RingSpans {
  std::array<memory::HostSpan, 3> spans;
  /// Windows of areas that are in two regions; null for an area in one.
  std::array<std::shared_ptr<const memory::Window>, 3> windows;
};

/// Translates and checks the areas. Each must be inside one region or two adjacent ones, aligned, and overlap no other.
/// Errors: protocol_violation, which names the area; system (memory::Window).
Result<RingSpans> find_areas(const memory::GuestMemory& memory, const std::array<RingArea, 3>& areas);

}  // namespace vhostx::virtqueue
