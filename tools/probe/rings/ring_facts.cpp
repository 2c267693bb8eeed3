// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

std::optional<RingPlace> place_of(const ConnectionFacts& connection, const RingFacts& ring) {
  if (!ring.size || !ring.addresses) return std::nullopt;
  using protocol::VirtioFeature;
  return RingPlace{*ring.size, *ring.addresses, connection.features.has(VirtioFeature::ring_packed),
                   connection.features.has(VirtioFeature::event_idx)};
}

RegionMemory memory_of(const ConnectionFacts& connection) {
  std::vector<RegionMemory::Part> parts;
  for (const MemoryFacts& memory : connection.regions) {
    const protocol::MemoryRegion& region = memory.region;
    parts.push_back({connection.guest_addresses ? region.guest_address : region.front_end_address, region.size,
                     region.mmap_offset, memory.fd});
  }
  return RegionMemory(std::move(parts));
}

}  // namespace vhostx::tools::probe
