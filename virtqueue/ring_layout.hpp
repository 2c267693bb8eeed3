// SPDX-License-Identifier: BSD-3-Clause
// RingLayout: a ring's checked pointers. Made whole when a ring starts or its memory changes; immutable.
#pragma once

#include <cstdint>

#include <vhostx/result.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::virtqueue {

/// What SET_VRING_ADDR and SET_VRING_NUM say.
struct RingAddresses {
  memory::FrontEndAddress descriptors;
  memory::FrontEndAddress avail;
  memory::FrontEndAddress used;
};

/// Features that change how a ring is read.
struct RingFeatures {
  bool indirect = false;   ///< VIRTIO_F_INDIRECT_DESC
  bool event_idx = false;  ///< VIRTIO_F_EVENT_IDX
};

struct RingLayout {
  const std::uint8_t* descriptors = nullptr;
  AvailRing avail;
  UsedRing used;
  std::uint32_t size = 0;
  RingFeatures features;

  std::uint32_t slot(std::uint16_t index) const noexcept { return index & (size - 1); }
  RawDescriptor descriptor(std::uint16_t index) const noexcept {
    return load_descriptor(descriptors + std::size_t{index} * sizeof(Descriptor));
  }
};

/// A ring size as VIRTIO 1.2, 2.7 allows it: 1 to 32768, a power of two. Error: protocol_violation.
Result<void> check_ring_size(std::uint32_t size);

/// Translates and checks the three areas: each wholly inside one region (with its event index), aligned to 16, 2 and 4
/// bytes (2.7), disjoint. Error: protocol_violation, which names the area.
Result<RingLayout> lay_out_ring(const memory::GuestMemory& memory, const RingAddresses& addresses, std::uint32_t size,
                                RingFeatures features);

}  // namespace vhostx::virtqueue
