// SPDX-License-Identifier: BSD-3-Clause
#include "memory/guest_memory.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"

namespace vhostx::memory {
namespace {

using Region = std::shared_ptr<const MappedRegion>;

// `regions` sorted by `start`; no start is past an end before it. Sizes were checked not to wrap.
template <typename Start>
Result<void> check_overlap(const std::vector<Region>& regions, Start start, const char* space) {
  for (std::size_t i = 1; i < regions.size(); ++i) {
    const auto& before = regions[i - 1]->description();
    const auto& after = regions[i]->description();
    if (start(after) - start(before) < before.size)
      return make_error(ErrorCode::protocol_violation,
                        "memory regions overlap in {} addresses: {:#x} + {:#x} and {:#x} + {:#x}", space, start(before),
                        before.size, start(after), after.size);
  }
  return {};
}

std::uint64_t guest_start(const RegionDescription& d) { return d.guest.value; }
std::uint64_t front_end_start(const RegionDescription& d) { return d.front_end.value; }

template <typename Start>
void sort_by(std::vector<Region>& regions, Start start) {
  std::sort(regions.begin(), regions.end(),
            [start](const Region& a, const Region& b) { return start(a->description()) < start(b->description()); });
}

Result<std::uint64_t> total_bytes(const std::vector<Region>& regions, const MemoryLimits& limits) {
  if (regions.size() > limits.regions_max)
    return make_error(ErrorCode::limit, "{} memory regions, at most {} are allowed", regions.size(),
                      limits.regions_max);
  std::uint64_t bytes = 0;
  for (const auto& region : regions) {
    const std::uint64_t size = region->description().size;
    if (size > limits.bytes_max - bytes)
      return make_error(ErrorCode::limit, "guest memory exceeds the limit of {:#x} bytes", limits.bytes_max);
    bytes += size;
  }
  return bytes;
}

}  // namespace

Result<std::shared_ptr<const GuestMemory>> GuestMemory::create(std::vector<Region> regions,
                                                               const MemoryLimits& limits) {
  const auto bytes = total_bytes(regions, limits);
  if (!bytes) return bytes.error();
  sort_by(regions, front_end_start);
  if (auto disjoint = check_overlap(regions, front_end_start, "front-end"); !disjoint) return disjoint.error();
  sort_by(regions, guest_start);
  if (auto disjoint = check_overlap(regions, guest_start, "guest"); !disjoint) return disjoint.error();

  auto memory = std::make_shared<GuestMemory>();
  memory->bytes_ = *bytes;
  for (const auto& region : regions) {
    const auto& d = region->description();
    memory->starts_.push_back(d.guest.value);
    memory->entries_.push_back({d.guest.value, d.size, region->host()});
  }
  memory->regions_ = std::move(regions);
  return std::shared_ptr<const GuestMemory>(std::move(memory));
}

bool GuestMemory::find(GuestAddress address, Hint& hint) const noexcept {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), address.value);
  if (after == starts_.begin()) return false;
  const Hint& entry = entries_[static_cast<std::size_t>(after - starts_.begin() - 1)];
  if (address.value - entry.guest >= entry.size) return false;
  hint = entry;
  return true;
}

HostSpan GuestMemory::translate(FrontEndAddress address, std::size_t length) const noexcept {
  for (const auto& region : regions_) {
    const auto& d = region->description();
    const std::uint64_t offset = address.value - d.front_end.value;
    if (offset >= d.size) continue;
    if (length == 0 || length > d.size - offset) return {};
    return {region->host() + offset, length};
  }
  return {};
}

}  // namespace vhostx::memory
