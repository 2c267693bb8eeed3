// SPDX-License-Identifier: BSD-3-Clause
// Where blocks of addresses are drawn: one below the other, lowest first, heights to scale, holes between them
// compressed. Blocks never overlap in a drawing, whatever their addresses do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vhostx::tools::probe {

struct AddressBlock {
  std::uint64_t begin = 0;
  std::uint64_t bytes = 0;
};

struct PlacedBlock {
  std::size_t index = 0;  ///< In what was given.
  double y = 0;
  double height = 0;
  std::uint64_t hole = 0;     ///< Bytes between it and the one above; of the first one 0.
  std::uint64_t overlap = 0;  ///< Bytes that it shares with those above.
};

struct StackSizes {
  double top = 0;
  double scaled = 0;     ///< What all blocks would take if none were raised to block_min.
  double block_min = 0;  ///< Room for a block's text.
  double gap = 0;        ///< Of a hole, whatever its bytes, and of an overlap.
};

struct Stack {
  std::vector<PlacedBlock> blocks;  ///< In the order of addresses.
  double bottom = 0;
  bool raised = false;  ///< Some block is drawn higher than its bytes would make it.
  double bytes_per_pixel = 0;

  /// The block that was given as number `index`; null: none was.
  const PlacedBlock* find(std::size_t index) const noexcept;
};

Stack stack_of(std::span<const AddressBlock> blocks, const StackSizes& sizes);

/// Moves what stands at `wanted` (ascending) down as far as needed for `distance` between neighbours.
std::vector<double> spread(std::span<const double> wanted, double distance);

}  // namespace vhostx::tools::probe
