// SPDX-License-Identifier: BSD-3-Clause
#include "memory/guest_memory.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.hpp"
#include "base/page_memory.hpp"

namespace vhostx::memory {
namespace {

using Region = std::shared_ptr<const MappedRegion>;

// Sorts `regions` by an address of theirs. Sizes were checked not to wrap.
template <typename Address>
Result<void> sort_disjoint(std::vector<Region>& regions, Address RegionDescription::*address, const char* space) {
  const auto start = [address](const Region& region) { return (region->description().*address).value; };
  std::ranges::sort(regions, {}, start);
  for (std::size_t i = 1; i < regions.size(); ++i) {
    const Region& before = regions[i - 1];
    const Region& after = regions[i];
    if (start(after) - start(before) < before->description().size)
      return protocol_violation("memory regions overlap in {} addresses: {:#x} + {:#x} and {:#x} + {:#x}", space,
                                start(before), before->description().size, start(after), after->description().size);
  }
  return {};
}

Result<std::uint64_t> total_bytes(const std::vector<Region>& regions, const MemoryLimits& limits) {
  if (regions.size() > limits.regions_max)
    return make_error(ErrorCode::limit, "{} memory regions, at most {} are allowed", regions.size(),
                      limits.regions_max);
  std::uint64_t bytes = 0;
  for (const auto& region : regions) {
    const std::uint64_t size = region->description().size;
    if (size > limits.bytes_max - bytes)
      return make_error(ErrorCode::limit, "guest memory exceeds the limit of {:#x} bytes (memory_bytes_max)",
                        limits.bytes_max);
    bytes += size;
  }
  return bytes;
}

// Sorts `regions` by file and offset.
Result<void> check_aliases(std::vector<Region>& regions, const MemoryLimits& limits) {
  std::ranges::sort(regions, {}, [](const Region& r) { return std::pair(r->file(), r->description().mmap_offset); });
  std::uint64_t aliased = 0;
  std::uint64_t seen_to = 0;  // of the file
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const std::uint64_t begin = regions[i]->description().mmap_offset;
    const std::uint64_t end = begin + regions[i]->description().size;
    if (i == 0 || regions[i]->file() != regions[i - 1]->file()) seen_to = 0;
    if (begin < seen_to) aliased += std::min(end, seen_to) - begin;
    if (aliased > limits.aliased_bytes_max)
      return make_error(ErrorCode::limit,
                        "memory regions map at least {:#x} bytes of files a second time, at most {:#x} are allowed",
                        aliased, limits.aliased_bytes_max);
    seen_to = std::max(seen_to, end);
  }
  return {};
}

// `regions` sorted by guest address.
std::vector<AddressTable::Entry> entries_of(const std::vector<Region>& regions) {
  std::vector<AddressTable::Entry> entries;
  for (const auto& region : regions) {
    const auto& d = region->description();
    const auto page_shift = static_cast<std::uint32_t>(std::countr_zero(region->page_size()));
    entries.push_back({d.guest.value, d.size, region->host(), page_shift});
  }
  return entries;
}

}  // namespace

struct GuestMemory::Checked {
  std::vector<Region> regions;  // sorted by guest address
  std::uint64_t bytes;
};

GuestMemory::GuestMemory(Checked&& checked)
    : table_(entries_of(checked.regions)), regions_(std::move(checked.regions)), bytes_(checked.bytes) {}

Result<std::shared_ptr<const GuestMemory>> GuestMemory::create(std::vector<Region> regions,
                                                               const MemoryLimits& limits) {
  const auto bytes = total_bytes(regions, limits);
  if (!bytes) return bytes.error();
  if (auto few = check_aliases(regions, limits); !few) return few.error();
  auto by_front_end = regions;
  if (auto disjoint = sort_disjoint(regions, &RegionDescription::guest, "guest"); !disjoint) return disjoint.error();
  if (auto disjoint = sort_disjoint(by_front_end, &RegionDescription::front_end, "front-end"); !disjoint)
    return disjoint.error();

  return std::shared_ptr<const GuestMemory>(
      std::allocate_shared<GuestMemory>(PageAllocator<GuestMemory>(), Checked{std::move(regions), *bytes}));
}

std::array<HostSpan, 4> GuestMemory::own_pages() const noexcept {
  // This object begins at the start of its page, or right after the reference count there, and fits into one page.
  const auto at = reinterpret_cast<std::uintptr_t>(this) / page_bytes() * page_bytes();
  const auto [starts, entries, slots] = table_.own_pages();
  return {HostSpan{reinterpret_cast<std::uint8_t*>(at), whole_pages(sizeof *this)}, starts, entries, slots};
}

std::optional<GuestAddress> GuestMemory::address_of(const std::uint8_t* host) const noexcept {
  for (const auto& region : regions_)
    if (const std::uint64_t offset = static_cast<std::uint64_t>(host - region->host());
        offset < region->description().size)
      return GuestAddress{region->description().guest.value + offset};
  return std::nullopt;
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
