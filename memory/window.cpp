// SPDX-License-Identifier: BSD-3-Clause
#include "memory/window.hpp"

#include <cerrno>
#include <cstdint>
#include <utility>

#include <sys/mman.h>

#include "base/error.hpp"

namespace vhostx::memory {
namespace {

using Region = std::shared_ptr<const MappedRegion>;

bool are_neighbours(const RegionDescription& low, const RegionDescription& high) noexcept {
  return high.guest.value - low.guest.value == low.size && high.front_end.value - low.front_end.value == low.size;
}

// Whether the mapping of `low` ends exactly where the region ends, and that of `high` begins where the region begins.
bool meet_at_a_page(const MappedRegion& low, const MappedRegion& high) noexcept {
  const HostSpan pages = low.mapping();
  return low.page_size() == high.page_size() && high.mapping().data == high.host() &&
         low.host() + low.description().size == pages.data + pages.size;
}

// The first of the two, by its place in `regions`, which are sorted by guest address.
std::optional<std::size_t> find_first(const std::vector<Region>& regions, FrontEndAddress address, std::size_t length) {
  for (std::size_t i = 0; i + 1 < regions.size(); ++i) {
    const RegionDescription& low = regions[i]->description();
    const RegionDescription& high = regions[i + 1]->description();
    const std::uint64_t offset = address.value - low.front_end.value;
    if (offset >= low.size) continue;
    const std::uint64_t in_low = low.size - offset;
    if (length <= in_low || length - in_low > high.size || !are_neighbours(low, high) ||
        !meet_at_a_page(*regions[i], *regions[i + 1]))
      return std::nullopt;
    return i;
  }
  return std::nullopt;
}

}  // namespace

Result<std::shared_ptr<const Window>> Window::map(const GuestMemory& memory, FrontEndAddress address,
                                                  std::size_t length) {
  const std::vector<Region>& regions = memory.regions();
  const auto first = find_first(regions, address, length);
  if (!first)
    return protocol_violation("front-end address {:#x}, {:#x} bytes: not in two adjacent memory regions", address.value,
                              length);
  std::shared_ptr<Window> window(new Window);
  auto& [low, high] = window->parts_;
  low.region = regions[*first];
  high.region = regions[*first + 1];
  const std::size_t page = low.region->page_size();
  const std::uint64_t offset = address.value - low.region->description().front_end.value;
  const std::size_t in_low = low.region->description().size - offset;
  const std::size_t lead = reinterpret_cast<std::uintptr_t>(low.region->host() + offset) % page;
  low.pages = {low.region->host() + offset - lead, lead + in_low};
  high.pages = {high.region->host(), (length - in_low + page - 1) / page * page};

  if (auto reserved = window->reserve(page); !reserved) return std::move(reserved).error();
  const auto begin = (reinterpret_cast<std::uintptr_t>(window->reservation_.data) + 2 * page - 1) / page * page;
  auto* const place = reinterpret_cast<std::uint8_t*>(begin);
  if (auto shown = window->show(low, place); !shown) return std::move(shown).error();
  if (auto shown = window->show(high, place + low.pages.size); !shown) return std::move(shown).error();
  window->bytes_ = {place + lead, length};
  return std::shared_ptr<const Window>(std::move(window));
}

Result<void> Window::reserve(std::size_t page) {
  const std::size_t bytes = parts_[0].pages.size + parts_[1].pages.size + 3 * page;  // two guards, and room to align
  void* const reservation = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return make_system_error(errno, "reserving {:#x} bytes for a window", bytes);
  reservation_ = {static_cast<std::uint8_t*>(reservation), bytes};
  return {};
}

// For a shared mapping, mremap() with an old size of 0 makes a second mapping of the same pages.
Result<void> Window::show(Part& part, std::uint8_t* place) {
  if (::mremap(unqualified(part.pages.data), 0, part.pages.size, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED)
    return make_system_error(errno, "mapping {:#x} bytes of guest memory at {:#x} a second time", part.pages.size,
                             part.region->description().guest.value);
  const HostSpan shown{place, part.pages.size};
  const LosableMapping& own = part.region->pages();
  auto budget = own.budget();
  if (budget != nullptr && !guard(shown)) budget = nullptr;
  part.shown.emplace(shown, own.alarm(), std::move(budget));
  return {};
}

const MappedRegion* Window::lost() const noexcept {
  for (const Part& part : parts_)
    if (part.shown->lost_at()) return part.region.get();
  return nullptr;
}

Window::~Window() {
  for (Part& part : parts_) part.shown.reset();  // before another mapping can have this place
  if (reservation_) ::munmap(unqualified(reservation_.data), reservation_.size);
}

}  // namespace vhostx::memory
