// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/memory_table.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

bool same_place(const memory::RegionDescription& a, const memory::RegionDescription& b) noexcept {
  return a.guest == b.guest && a.front_end == b.front_end && a.size == b.size;
}

// QEMU before 8.0 has one vhost device for each queue pair, and each of them adds and removes all of the guest's
// memory.
constexpr unsigned repeats_max = 127;

}  // namespace

Result<void> MemoryTable::count_by_guest_addresses(bool on) {
  if (on != by_guest_addresses_ && current_ != nullptr)
    return protocol_violation("GPA_ADDRESSES is {} after guest memory was shared, expected before the first region",
                              on ? "negotiated" : "dropped");
  by_guest_addresses_ = on;
  return {};
}

memory::RegionDescription MemoryTable::describe(const protocol::MemoryRegion& region) const noexcept {
  return {.guest = {region.guest_address},
          .front_end = {by_guest_addresses_ ? region.guest_address : region.front_end_address},
          .size = region.size,
          .mmap_offset = region.mmap_offset};
}

Result<void> MemoryTable::set(protocol::Message& message) {
  const auto table = message.payload_padded_as<protocol::MemoryTablePayload>();
  if (table.header.count > table.regions.size() || table.header.count != message.fd_count())
    return protocol_violation("SET_MEM_TABLE: {} regions with {} descriptors, expected {} each", table.header.count,
                              message.fd_count(), "at most 8 and one");
  Regions regions;
  for (std::uint32_t i = 0; i < table.header.count; ++i) {
    auto region = memory::MappedRegion::map(describe(table.regions[i]), message.take_fd(i), alarm_, budget_);
    if (!region) return std::move(region).error();
    regions.push_back(std::move(region).value());
  }
  if (auto published = publish(std::move(regions)); !published) return published;
  repeats_.clear();
  return {};
}

Result<void> MemoryTable::add(protocol::Message& message) {
  const auto payload = message.payload_as<protocol::SingleMemoryRegion>();
  if (!payload) return payload.error();
  Regions regions;
  if (current_ != nullptr) regions = current_->regions();
  const memory::RegionDescription wanted = describe(payload->region);
  const auto known = std::find_if(regions.begin(), regions.end(), [&wanted](const auto& region) {
    return same_place(region->description(), wanted) && region->description().mmap_offset == wanted.mmap_offset;
  });
  if (known != regions.end()) return add_again(**known);
  // Checked before anything is mapped, so that a front-end over its limit costs nothing.
  if (regions.size() >= limits_.regions_max)
    return make_error(ErrorCode::limit, "ADD_MEM_REG: the port has {} regions already, at most {} are allowed",
                      regions.size(), limits_.regions_max);
  auto region = memory::MappedRegion::map(wanted, message.take_fd(), alarm_, budget_);
  if (!region) return std::move(region).error();
  regions.push_back(std::move(region).value());
  return publish(std::move(regions));
}

Result<void> MemoryTable::remove(protocol::Message& message) {
  const auto payload = message.payload_as<protocol::SingleMemoryRegion>();
  if (!payload) return payload.error();
  const memory::RegionDescription wanted = describe(payload->region);
  Regions regions;
  if (current_ != nullptr) regions = current_->regions();
  const auto found = std::find_if(regions.begin(), regions.end(),
                                  [&wanted](const auto& region) { return same_place(region->description(), wanted); });
  if (found == regions.end())
    return protocol_violation("REM_MEM_REG: no region has guest address {:#x}, front-end address {:#x} and size {:#x}",
                              wanted.guest.value, wanted.front_end.value, wanted.size);
  if (const auto repeated = repeats_.find(found->get()); repeated != repeats_.end()) {
    if (--repeated->second == 0) repeats_.erase(repeated);
    return {};
  }
  regions.erase(found);
  return publish(std::move(regions));
}

std::optional<Error> MemoryTable::lost() const {
  if (log_ != nullptr && log_->is_lost())
    return protocol_violation("the dirty log is lost: its file was shrunk, or had no page to give (SIGBUS)");
  if (current_ == nullptr) return std::nullopt;
  for (const auto& region : current_->regions()) {
    const auto at = region->lost_at();
    if (!at) continue;
    if (const MemoryLimit* const limit = region->no_room_in())
      return make_error(ErrorCode::limit,
                        "guest memory at {:#x} is not allocated, and the memory limit of {} bytes of {} has no room "
                        "for it: expected memory that the front-end has allocated (QEMU: prealloc=on), or a higher "
                        "limit",
                        at->value, limit->bytes(), limit->group());
    return protocol_violation(
        "guest memory at {:#x} is lost: the file of the region at guest address {:#x} was shrunk, or had no "
        "page to give (SIGBUS)",
        at->value, region->description().guest.value);
  }
  return std::nullopt;
}

Result<void> MemoryTable::add_again(const memory::MappedRegion& region) {
  const auto repeated = repeats_.try_emplace(&region, 0).first;
  if (repeated->second >= repeats_max)
    return make_error(ErrorCode::limit, "ADD_MEM_REG: the region at guest address {:#x} was added {} times already",
                      region.description().guest.value, repeats_max + 1);
  ++repeated->second;
  return {};
}

Result<void> MemoryTable::log_into(std::shared_ptr<const memory::DirtyLog> log) {
  if (auto good = check_log(log.get(), current_.get()); !good) return good;
  log_ = std::move(log);
  return {};
}

// QEMU brings a larger log before it adds memory.
Result<void> MemoryTable::check_log(const memory::DirtyLog* log, const memory::GuestMemory* memory) {
  if (log == nullptr || memory == nullptr || log->covers(memory->last())) return {};
  return protocol_violation("the dirty log has {:#x} bytes, expected {:#x} or more for guest memory up to {:#x}",
                            log->bytes(), memory::DirtyLog::bytes_for(memory->last()), memory->last().value);
}

Result<void> MemoryTable::publish(Regions regions) {
  if (regions.empty()) {
    current_ = nullptr;
    return {};
  }
  auto memory = memory::GuestMemory::create(std::move(regions), limits_);
  if (!memory) return std::move(memory).error();
  if (auto good = check_log(log_.get(), memory.value().get()); !good) return good;
  current_ = std::move(memory).value();
  return {};
}

}  // namespace vhostx::backend
