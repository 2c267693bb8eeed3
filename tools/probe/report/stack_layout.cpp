// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/stack_layout.hpp"

#include <algorithm>
#include <numeric>

namespace vhostx::tools::probe {
namespace {

/// The first address behind the block; the last address of all where it would go beyond.
std::uint64_t end_of(const AddressBlock& block) noexcept {
  return block.bytes > UINT64_MAX - block.begin ? UINT64_MAX : block.begin + block.bytes;
}

std::vector<std::size_t> ordered(std::span<const AddressBlock> blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [blocks](std::size_t a, std::size_t b) { return blocks[a].begin < blocks[b].begin; });
  return order;
}

double pixels_per_byte(std::span<const AddressBlock> blocks, double pixels) noexcept {
  double bytes = 0;
  for (const AddressBlock& block : blocks) bytes += static_cast<double>(block.bytes);
  return bytes > 0 ? pixels / bytes : 0;
}

}  // namespace

const PlacedBlock* Stack::find(std::size_t index) const noexcept {
  const auto at =
      std::find_if(blocks.begin(), blocks.end(), [index](const auto& block) { return block.index == index; });
  return at == blocks.end() ? nullptr : &*at;
}

Stack stack_of(std::span<const AddressBlock> blocks, const StackSizes& sizes) {
  Stack stack;
  const double scale = pixels_per_byte(blocks, sizes.scaled);
  stack.bytes_per_pixel = scale > 0 ? 1 / scale : 0;
  stack.bottom = sizes.top;
  std::uint64_t end = 0;
  for (const std::size_t index : ordered(blocks)) {
    const AddressBlock& block = blocks[index];
    PlacedBlock placed{index, stack.bottom, static_cast<double>(block.bytes) * scale, 0, 0};
    stack.raised |= placed.height < sizes.block_min;
    placed.height = std::max(placed.height, sizes.block_min);
    if (!stack.blocks.empty() && block.begin > end) placed.hole = block.begin - end;
    if (!stack.blocks.empty() && block.begin < end) placed.overlap = std::min(end, end_of(block)) - block.begin;
    if (placed.hole != 0 || placed.overlap != 0) placed.y += sizes.gap;
    stack.bottom = placed.y + placed.height;
    end = std::max(end, end_of(block));
    stack.blocks.push_back(placed);
  }
  return stack;
}

std::vector<double> spread(std::span<const double> wanted, double distance) {
  std::vector<double> places(wanted.begin(), wanted.end());
  for (std::size_t i = 1; i < places.size(); ++i) places[i] = std::max(places[i], places[i - 1] + distance);
  return places;
}

}  // namespace vhostx::tools::probe
