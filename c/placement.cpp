// SPDX-License-Identifier: BSD-3-Clause
#include "c/placement.hpp"

#include <span>

namespace vhostx::c {
namespace {

static_assert(no_node == VHOSTX_NO_NODE);

/// Adds the histogram's nodes to `pages`, which has room for them, so that pointers into it stay valid.
vhostx_node_histogram convert(const NodeHistogram& from, std::vector<vhostx_node_pages>& pages) {
  const auto& [nodes, absent, unknown] = from;
  const std::size_t first = pages.size();
  for (const NodePages& entry : nodes) pages.push_back({entry.node, entry.pages});
  return {pages.data() + first, nodes.size(), absent, unknown};
}

std::span<const vhostx_node_pages> entries(const vhostx_node_histogram& histogram) {
  return {histogram.nodes, histogram.count};
}

}  // namespace

OwnedPlacement::OwnedPlacement(const VringPlacement& from) : vhostx_vring_placement{} {
  const auto& [from_ring, from_buffers, from_ring_node, from_wanted, from_state_node, from_state, from_moved,
               from_errno, from_problem, from_areas] = from;
  pages.reserve(from_ring.nodes.size() + from_buffers.nodes.size() + from_state.nodes.size());
  ring = convert(from_ring, pages);
  buffers = convert(from_buffers, pages);
  state = convert(from_state, pages);
  ring_node = from_ring_node;
  wanted_node = from_wanted;
  state_node = from_state_node;
  moved = from_moved;
  move_errno = from_errno;
  text = from_problem;
  problem = text.c_str();
  for (const MemoryArea& area : from_areas) areas.push_back({area.address, area.bytes});
  state_areas = areas.data();
  state_area_count = areas.size();
}

Result<std::unique_ptr<OwnedPlacement>> own_placement(const VringPlacement& from) {
  return std::make_unique<OwnedPlacement>(from);
}

OwnedRegions::OwnedRegions(const std::vector<RegionPlacement>& from) : vhostx_memory_placement{} {
  pages.resize(from.size());
  known.reserve(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto& [guest_address, bytes, page_bytes, sample] = from[i];
    pages[i].reserve(sample.nodes.size());
    known.push_back({guest_address, bytes, page_bytes, convert(sample, pages[i])});
    pointers.push_back(&known.back());
  }
  regions = pointers.data();
  count = pointers.size();
}

}  // namespace vhostx::c

using namespace vhostx::c;

// Counts as NodeHistogram does, without allocating one.
uint32_t vhostx_node_histogram_on(const vhostx_node_histogram* histogram, int node) {
  for (const vhostx_node_pages& entry : entries(*histogram))
    if (entry.node == node) return entry.pages;
  return 0;
}

uint32_t vhostx_node_histogram_placed(const vhostx_node_histogram* histogram) {
  uint32_t pages = 0;
  for (const vhostx_node_pages& entry : entries(*histogram)) pages += entry.pages;
  return pages;
}

int vhostx_node_histogram_main_node(const vhostx_node_histogram* histogram) {
  vhostx_node_pages most{VHOSTX_NO_NODE, 0};
  for (const vhostx_node_pages& entry : entries(*histogram))
    if (entry.pages > most.pages) most = entry;
  return most.node;
}

void vhostx_vring_placement_free(vhostx_vring_placement* placement) { delete static_cast<OwnedPlacement*>(placement); }

void vhostx_memory_placement_free(vhostx_memory_placement* placement) { delete static_cast<OwnedRegions*>(placement); }
