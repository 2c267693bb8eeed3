// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

std::optional<RingPlace> place_of(const ConnectionFacts& connection, const RingFacts& ring) {
  if (!ring.size || !ring.addresses) return std::nullopt;
  using protocol::VirtioFeature;
  return RingPlace{*ring.size, *ring.addresses, connection.features.has(VirtioFeature::ring_packed),
                   connection.features.has(VirtioFeature::event_idx), connection.features.has(VirtioFeature::in_order)};
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

std::shared_ptr<const GuestMemory> log_memory_of(const ConnectionFacts& connection) {
  if (!connection.log) return nullptr;
  const LogFacts& log = *connection.log;
  return std::make_shared<const RegionMemory>(std::vector<RegionMemory::Part>{{0, log.size, log.offset, log.fd}});
}

}  // namespace vhostx::tools::probe
