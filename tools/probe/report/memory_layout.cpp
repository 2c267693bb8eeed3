// SPDX-License-Identifier: BSD-3-Clause
// Where the parts of the memory drawing are.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "tools/probe/report/memory_drawing.hpp"
#include "tools/probe/report/ring_areas.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr StackSizes sizes{26, 320, 46, 26};
constexpr double label_distance = 15;
constexpr double cluster_pixels = 5;
constexpr unsigned all_areas = 7;

std::vector<AddressBlock> blocks_of(const SessionState& state) {
  std::vector<AddressBlock> blocks;
  for (const RegionView& view : state.regions) {
    if (blocks.size() == drawn_regions_max) break;
    blocks.push_back({view.region.guest_address, view.region.size});
  }
  return blocks;
}

// Half a pixel from the edges, so that a mark never lies on a border.
double place_in(const PlacedBlock& block, std::uint64_t offset, std::uint64_t bytes) noexcept {
  const double part = bytes == 0 ? 0 : static_cast<double>(offset) / static_cast<double>(bytes);
  return block.y + 2 + (block.height - 4) * std::min(part, 1.0);
}

std::vector<RingMark> marks_of(const SessionState& state, const Stack& regions) {
  std::vector<RingMark> marks;
  for (const auto& [index, ring] : state.rings) {
    const auto areas = areas_of(state, ring);
    for (std::size_t i = 0; areas && i < areas->size(); ++i) {
      const RingArea& area = (*areas)[i];
      const PlacedBlock* const block = area.region ? regions.find(*area.region) : nullptr;
      if (block == nullptr) continue;
      const auto& region = state.regions[*area.region].region;
      marks.push_back({index, i, place_in(*block, area.guest_address - region.guest_address, region.size)});
    }
  }
  std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.y < b.y; });
  return marks;
}

std::string label_of(unsigned areas, const std::vector<std::uint32_t>& rings) {
  std::string text = (rings.size() == 1 ? "ring " : "rings ") + ranges_of(rings);
  if (areas == all_areas) return text;
  for (std::size_t i = 0; i < 3; ++i)
    if ((areas >> i & 1) != 0) text += std::string(" ") + "DAU"[i];
  return text;
}

/// Of marks that lie together: a line for all rings that have the same of their areas there.
void add_labels(std::span<const RingMark> marks, std::vector<MarkLabel>& labels) {
  std::map<std::uint32_t, unsigned> areas_by_ring;
  for (const RingMark& mark : marks) areas_by_ring[mark.ring] |= 1u << mark.area;
  std::map<unsigned, std::vector<std::uint32_t>> rings_by_areas;
  for (const auto& [ring, areas] : areas_by_ring) rings_by_areas[areas].push_back(ring);
  const double y = (marks.front().y + marks.back().y) / 2;
  for (const auto& [areas, rings] : rings_by_areas) labels.push_back({label_of(areas, rings), y, y});
}

std::vector<MarkLabel> labels_of(std::span<const RingMark> marks) {
  std::vector<MarkLabel> labels;
  for (std::size_t begin = 0; begin < marks.size();) {
    std::size_t end = begin + 1;
    while (end < marks.size() && marks[end].y - marks[end - 1].y < cluster_pixels) ++end;
    add_labels(marks.subspan(begin, end - begin), labels);
    begin = end;
  }
  std::vector<double> wanted;
  for (const MarkLabel& label : labels) wanted.push_back(label.y);
  const auto places = spread(wanted, label_distance);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i].y = places[i];
  return labels;
}

}  // namespace

MemoryLayout lay_out_memory(const SessionState& state) {
  MemoryLayout layout;
  const auto blocks = blocks_of(state);
  layout.omitted = state.regions.size() - blocks.size();
  layout.regions = stack_of(blocks, sizes);
  layout.marks = marks_of(state, layout.regions);
  layout.labels = labels_of(layout.marks);
  layout.height = layout.regions.bottom + 8;
  if (!layout.labels.empty()) layout.height = std::max(layout.height, layout.labels.back().y + 8);
  return layout;
}

}  // namespace vhostx::tools::probe
