// SPDX-License-Identifier: BSD-3-Clause
// DriverChains: the chains of a DriverRing, and who has them. Nothing here is shared but the buffers and tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tools/driver/shared_memory.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::tools {

/// How a packet lies in descriptors.
enum class ChainLayout { one, two, indirect };

struct DriverRingOptions {
  std::uint16_t size = 256;
  bool packed = false;  ///< Else split.
  ChainLayout layout = ChainLayout::one;
  bool device_writes = false;  ///< A receive ring.
  bool event_idx = false;
  std::uint32_t net_header_bytes = 12;  ///< In a descriptor of its own where the layout has two.
  std::uint32_t buffer_bytes = 0;       ///< Header included.
  bool rewrite = false;                 ///< Writes descriptors and avail each time, whatever they say.
  /// Where driver and device begin: idx of both rings, or a virtqueue::PackedPosition. None: where a fresh ring does.
  std::optional<std::uint16_t> first_index = {};
};

struct DriverChains {
  static constexpr std::size_t table_bytes = 2 * sizeof(virtqueue::Descriptor);

  DriverRingOptions options;
  std::vector<SharedMemory::Piece> buffers;
  std::vector<SharedMemory::Piece> tables;  ///< ChainLayout::indirect.
  std::vector<std::uint8_t> out;            ///< 1 while the device has it.
  std::vector<std::uint32_t> described;     ///< The bytes that its descriptors or table say; 0: none yet.

  std::uint16_t count() const noexcept { return static_cast<std::uint16_t>(buffers.size()); }
  /// Entries of the ring that each chain takes.
  static constexpr std::uint16_t entries(ChainLayout layout) noexcept { return layout == ChainLayout::two ? 2 : 1; }
  /// Flags of each descriptor of a buffer.
  std::uint16_t flags() const noexcept {
    return options.device_writes ? virtqueue::Descriptor::write_flag : std::uint16_t{0};
  }
};

}  // namespace vhostx::tools
