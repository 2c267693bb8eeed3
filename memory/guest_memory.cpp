// SPDX-License-Identifier: BSD-3-Clause
#include "memory/guest_memory.hpp"

#include <algorithm>
#include <bit>
#include <limits>
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
      return make_error(ErrorCode::limit, "guest memory exceeds the limit of {:#x} bytes (memory_bytes_max)",
                        limits.bytes_max);
    bytes += size;
  }
  return bytes;
}

// Sorts `regions` by file and offset.
Result<void> check_aliases(std::vector<Region>& regions, const MemoryLimits& limits) {
  std::sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    return std::pair(a->file(), a->description().mmap_offset) < std::pair(b->file(), b->description().mmap_offset);
  });
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

}  // namespace

Result<std::shared_ptr<const GuestMemory>> GuestMemory::create(std::vector<Region> regions,
                                                               const MemoryLimits& limits) {
  const auto bytes = total_bytes(regions, limits);
  if (!bytes) return bytes.error();
  if (auto few = check_aliases(regions, limits); !few) return few.error();
  auto by_front_end = regions;
  sort_by(by_front_end, front_end_start);
  sort_by(regions, guest_start);
  if (auto disjoint = check_overlap(regions, guest_start, "guest"); !disjoint) return disjoint.error();
  if (auto disjoint = check_overlap(by_front_end, front_end_start, "front-end"); !disjoint) return disjoint.error();

  auto memory = std::allocate_shared<GuestMemory>(PageAllocator<GuestMemory>());
  memory->bytes_ = *bytes;
  for (const auto& region : regions) {
    const auto& d = region->description();
    memory->starts_.push_back(d.guest.value);
    const auto page_shift = static_cast<std::uint32_t>(std::countr_zero(region->page_size()));
    memory->entries_.push_back({d.guest.value, d.size, region->host(), page_shift});
  }
  memory->regions_ = std::move(regions);
  memory->index_regions();
  return std::shared_ptr<const GuestMemory>(std::move(memory));
}

// Chooses the coarsest slots that hold at most one region each, or else the finest that the bound allows.
void GuestMemory::index_regions() {
  constexpr unsigned slots_log2_max = 13;
  reset_index(0, 0);
  if (starts_.empty() || entries_.size() > std::numeric_limits<std::uint16_t>::max() / Index::units_an_entry) return;
  const std::uint64_t last = entries_.back().guest + (entries_.back().size - 1);
  for (unsigned shift = 63;; --shift) {
    const auto needed_log2 = static_cast<unsigned>(std::bit_width((last >> shift) - (starts_.front() >> shift)));
    if (needed_log2 > slots_log2_max) return;
    reset_index(shift, needed_log2);
    if (fill_slots() || shift == 0) return;
  }
}

void GuestMemory::reset_index(unsigned shift, unsigned slots_log2) {
  slots_.assign(std::size_t{1} << slots_log2, 0);
  index_.entries_ = entries_.data();
  index_.slots_ = slots_.data();
  index_.mask_ = slots_.size() - 1;
  index_.shift_ = shift;
}

// Whether no slot holds more than one region.
bool GuestMemory::fill_slots() {
  bool exact = true;
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    const std::uint64_t last = (entries_[i].guest + (entries_[i].size - 1)) >> index_.shift_;
    for (std::uint64_t at = entries_[i].guest >> index_.shift_;; ++at) {
      auto& slot = slots_[at & index_.mask_];
      exact = exact && slot == 0;
      if (slot == 0) slot = static_cast<std::uint16_t>(i * Index::units_an_entry);
      if (at == last) break;  // not `at <= last` above: with slots of one byte `last` may be the highest number
    }
  }
  return exact;
}

bool GuestMemory::find(GuestAddress address, Hint& hint) const noexcept {
  const Hint& likely = index_.likely_region(address);
  if (address.value - likely.guest < likely.size) {
    hint = likely;
    return true;
  }
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), address.value);
  if (after == starts_.begin()) return false;
  const Hint& entry = entries_[static_cast<std::size_t>(after - starts_.begin())];  // after the empty one
  if (address.value - entry.guest >= entry.size) return false;
  hint = entry;
  return true;
}

std::array<HostSpan, 4> GuestMemory::own_pages() const noexcept {
  const auto span = [](const void* data, std::size_t bytes) {
    return HostSpan{static_cast<std::uint8_t*>(const_cast<void*>(data)), whole_pages(bytes)};
  };
  // This object begins at the start of its page, or right after the reference count there, and fits into one page.
  const auto at = reinterpret_cast<std::uintptr_t>(this) / page_bytes() * page_bytes();
  return {span(reinterpret_cast<const void*>(at), sizeof *this),
          span(starts_.data(), starts_.capacity() * sizeof starts_[0]),
          span(entries_.data(), entries_.capacity() * sizeof entries_[0]),
          span(slots_.data(), slots_.capacity() * sizeof slots_[0])};
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
