// SPDX-License-Identifier: BSD-3-Clause
// PackedLayout: a packed ring's checked pointers. Made when a ring starts or its memory changes; immutable, but for the
// place that it keeps chains aside in.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <vhostx/result.hpp>

#include "base/page_memory.hpp"
#include "memory/guest_memory.hpp"
#include "memory/window.hpp"
#include "virtqueue/packed_ring.hpp"
#include "virtqueue/ring_areas.hpp"

namespace vhostx::virtqueue {

/// A chain that was given back, and that the driver has not been shown: its descriptors may still be needed.
struct PackedAside {
  std::uint16_t id;
  std::uint16_t entries;
  std::uint32_t written;
};
/// Room for as many as a ring can have. Of the ring's data thread; in pages of its own, so that it can be moved.
using PackedAsides = std::vector<PackedAside, PageAllocator<PackedAside>>;

struct PackedLayout {
  PackedTable table;
  PackedEvent driver;  ///< What the driver wants to be called for.
  PackedEvent device;  ///< What we want to be kicked for.
  std::uint32_t size = 0;
  RingFeatures features;
  memory::GuestAddress address;                                  ///< Of the table, for the dirty log.
  std::array<std::shared_ptr<const memory::Window>, 3> windows;  ///< As RingLayout's.
  std::shared_ptr<PackedAsides> asides;

  /// How a chain ends: the id is in its last descriptor.
  struct ChainEnd {
    std::uint16_t id;
    std::uint32_t entries;  ///< 0: it has more than `most`.
  };
  /// Of the chain at `index`, whose first descriptor was read. `most` is at most the ring's size.
  ChainEnd find_end(std::uint32_t index, const PackedDescriptor& first, std::uint32_t most) const noexcept {
    ChainEnd end{first.id(), 1};
    for (std::uint16_t flags = first.flags(); (flags & Descriptor::next_flag) != 0; ++end.entries) {
      if (end.entries >= most) return {end.id, 0};
      if (++index == size) index = 0;
      const std::uint32_t tail = table.load_tail(index);
      end.id = static_cast<std::uint16_t>(tail);
      flags = static_cast<std::uint16_t>(tail >> 16);
    }
    return end;
  }
  [[gnu::always_inline]] bool is_available(PackedPosition at) const noexcept {
    return at.is_available(table.flags_acquire(at.index()));
  }

  /// The three areas: descriptor ring, the driver's and the device's event structures. For NUMA placement and reports.
  std::array<memory::HostSpan, 3> areas() const noexcept;
  /// As RingLayout's.
  bool was_used() const noexcept;
  bool is_untouched() const noexcept;

  /// Where a device that does not know this ring goes on: with the first chain that was not used. `expected`: where
  /// that may be. None: the ring does not show it. Read packed_layout.cpp for the rule and its proof.
  std::optional<PackedPosition> find_position(PackedPosition expected) const noexcept;
  /// Where the driver makes available next. None: it is just writing a chain, or does not keep to the rules.
  std::optional<PackedPosition> find_driver() const noexcept;
  /// Its driver is in the first lap, and nothing was used.
  bool is_fresh() const noexcept;
  /// Shows the driver the burst that the device before has used and not shown, if it died in the midst of one.
  /// `place`: what find_position() has found.
  void finish_burst(PackedPosition place) const noexcept;

 private:
  std::optional<PackedPosition> find_in_doubt(PackedPosition place, PackedPosition expected, std::uint32_t open,
                                              const PackedDescriptor* last) const noexcept;
  std::uint16_t find_torn_id(PackedPosition at, std::uint32_t entries) const noexcept;
  bool finish_entry(PackedPosition at, const PackedDescriptor& was, std::uint16_t id) const noexcept;
};

/// VIRTIO 1.2, 2.8: 1 to 32768, any number. Error: protocol_violation.
Result<void> check_packed_size(std::uint32_t size);

/// As lay_out_ring(). The areas are aligned to 16, 4 and 4 bytes (2.8.10). Throws std::bad_alloc.
Result<PackedLayout> lay_out_packed(const memory::GuestMemory& memory, const RingAddresses& addresses,
                                    std::uint32_t size, RingFeatures features);

}  // namespace vhostx::virtqueue
