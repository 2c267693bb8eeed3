// SPDX-License-Identifier: BSD-3-Clause
#include "backend/memory_table.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

memory::RegionDescription describe_region(const protocol::MemoryRegion& region) noexcept {
  return {.guest = {region.guest_address},
          .front_end = {region.front_end_address},
          .size = region.size,
          .mmap_offset = region.mmap_offset};
}

}  // namespace

Result<void> MemoryTable::set(protocol::Message& message) {
  const auto table = message.payload_padded_as<protocol::MemoryTable>();
  if (table.header.count > table.regions.size() || table.header.count != message.fd_count())
    return make_error(ErrorCode::protocol_violation, "SET_MEM_TABLE: {} regions with {} descriptors, expected {} each",
                      table.header.count, message.fd_count(), "at most 8 and one");
  Regions regions;
  for (std::uint32_t i = 0; i < table.header.count; ++i) {
    auto region = memory::MappedRegion::map(describe_region(table.regions[i]), message.take_fd(i));
    if (!region) return std::move(region).error();
    regions.push_back(std::move(region).value());
  }
  return publish(std::move(regions));
}

Result<void> MemoryTable::add(protocol::Message& message) {
  const auto payload = message.payload_as<protocol::SingleMemoryRegion>();
  if (!payload) return payload.error();
  Regions regions;
  if (current_ != nullptr) regions = current_->regions();
  // Before anything is mapped: a front-end over its limit costs nothing.
  if (regions.size() >= limits_.regions_max)
    return make_error(ErrorCode::limit, "ADD_MEM_REG: {} regions there, at most {} are allowed", regions.size(),
                      limits_.regions_max);
  auto region = memory::MappedRegion::map(describe_region(payload->region), message.take_fd());
  if (!region) return std::move(region).error();
  regions.push_back(std::move(region).value());
  return publish(std::move(regions));
}

Result<void> MemoryTable::remove(const protocol::Message& message) {
  const auto payload = message.payload_as<protocol::SingleMemoryRegion>();
  if (!payload) return payload.error();
  const memory::RegionDescription wanted = describe_region(payload->region);
  Regions regions;
  if (current_ != nullptr) regions = current_->regions();
  const auto removed = std::erase_if(regions, [&wanted](const auto& region) {
    const auto& d = region->description();
    return d.guest == wanted.guest && d.front_end == wanted.front_end && d.size == wanted.size;
  });
  if (removed == 0)
    return make_error(ErrorCode::protocol_violation,
                      "REM_MEM_REG: no region has guest address {:#x}, front-end address {:#x} and size {:#x}",
                      wanted.guest.value, wanted.front_end.value, wanted.size);
  return publish(std::move(regions));
}

Result<void> MemoryTable::publish(Regions regions) {
  if (regions.empty()) {
    current_ = nullptr;
    return {};
  }
  auto memory = memory::GuestMemory::create(std::move(regions), limits_);
  if (!memory) return std::move(memory).error();
  current_ = std::move(memory).value();
  return {};
}

}  // namespace vhostx::backend
