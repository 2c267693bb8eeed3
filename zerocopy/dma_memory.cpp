// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/dma_memory.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <rte_eal.h>

namespace vhostx::zerocopy {

using Region = std::shared_ptr<const memory::MappedRegion>;
using Registration = std::shared_ptr<const DmaRegistration>;

// What a table may still use of EAL's.
struct DmaMemory::Budget {
  std::size_t regions;
  std::size_t pages;

  void take(const DmaRegistration& registration) noexcept {
    regions -= std::min<std::size_t>(regions, 1);
    pages -= std::min(pages, registration.pages().size());
  }
};

std::shared_ptr<const DmaMemory> DmaMemory::create(std::shared_ptr<const memory::GuestMemory> memory,
                                                   const DmaMemory* before, const DmaLimits& limits) {
  std::shared_ptr<DmaMemory> made(new DmaMemory(std::move(memory)));
  Budget budget{limits.regions_max, limits.pages_max};
  if (before != nullptr) made->share(*before, budget);
  const std::size_t shared = made->registrations_.size();
  for (const Region& region : made->memory_->regions()) {
    const auto end = made->registrations_.begin() + static_cast<std::ptrdiff_t>(shared);
    const bool known = std::any_of(made->registrations_.begin(), end,
                                   [&region](const Registration& held) { return held->region() == region; });
    if (!known) made->add(region, budget);
  }
  made->index();
  return made;
}

// Takes over existing registrations first: they are not given up for new regions.
void DmaMemory::share(const DmaMemory& before, Budget& budget) {
  const auto& regions = memory_->regions();
  for (const Registration& registration : before.registrations_) {
    if (std::find(regions.begin(), regions.end(), registration->region()) == regions.end()) continue;
    budget.take(*registration);
    registrations_.push_back(registration);
  }
}

void DmaMemory::add(const Region& region, Budget& budget) {
  if (budget.regions == 0) return refuse(*region, "the limit of registered regions is reached");
  auto registration = DmaRegistration::create(region, budget.pages);
  if (!registration) {
    // EAL has no room, and would have none for the next region.
    if (registration.error().system_errno == ENOSPC) budget.regions = 0;
    return refuse(*region, registration.error().message);
  }
  budget.take(**registration);
  registrations_.push_back(std::move(registration).value());
}

void DmaMemory::refuse(const memory::MappedRegion& region, const std::string& why) {
  if (!reason_.empty()) return;
  reason_ = fmt::format("region at guest address {:#x}, size {:#x}: {}", region.description().guest.value,
                        region.description().size, why);
}

void DmaMemory::index() {
  for (const Region& region : memory_->regions()) {
    const memory::HostSpan mapping = region->mapping();
    spans_.push_back({reinterpret_cast<std::uintptr_t>(mapping.data), mapping.size, 0, nullptr});
  }
  std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
  for (const Registration& registration : registrations_) {
    const auto begin = reinterpret_cast<std::uintptr_t>(registration->region()->mapping().data);
    const auto span = std::find_if(spans_.begin(), spans_.end(), [begin](const Span& s) { return s.begin == begin; });
    span->page_shift = static_cast<unsigned>(std::countr_zero(registration->page_size()));
    span->pages = registration->pages().data();
    if (registration->pages_unknown() == 0)
      ++regions_mapped_;
    else
      refuse(*registration->region(), fmt::format("the physical addresses of {} of {} pages are not known",
                                                  registration->pages_unknown(), registration->pages().size()));
  }
  virtual_ = regions_mapped_ == spans_.size() && rte_eal_iova_mode() == RTE_IOVA_VA;
}

// The run of pages from `data` on whose IOVAs are contiguous, or that all have none.
DmaMemory::Piece DmaMemory::find_by_page(const std::uint8_t* data, std::size_t size) const noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const auto after = std::upper_bound(spans_.begin(), spans_.end(), address,
                                      [](std::uintptr_t wanted, const Span& span) { return wanted < span.begin; });
  if (after == spans_.begin()) return {RTE_BAD_IOVA, size};
  const Span& span = *(after - 1);
  const std::size_t offset = address - span.begin;
  if (offset >= span.size) return {RTE_BAD_IOVA, size};
  const std::size_t wanted = std::min(size, span.size - offset);
  if (span.pages == nullptr) return {RTE_BAD_IOVA, wanted};

  const std::size_t page_size = std::size_t{1} << span.page_shift;
  const std::size_t in_page = offset & (page_size - 1);
  const rte_iova_t* page = span.pages + (offset >> span.page_shift);
  const rte_iova_t first = *page;
  std::size_t found = page_size - in_page;
  for (rte_iova_t last = *page; found < wanted; found += page_size, last = *page) {
    const rte_iova_t next = last == RTE_BAD_IOVA ? RTE_BAD_IOVA : last + page_size;
    if (*++page != next) break;
  }
  return {first == RTE_BAD_IOVA ? RTE_BAD_IOVA : first + in_page, std::min(found, wanted)};
}

}  // namespace vhostx::zerocopy
