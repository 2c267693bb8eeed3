// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/dma_registration.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <sys/mman.h>

#include "base/error.hpp"
#include "base/page_memory.hpp"

namespace vhostx::zerocopy {
namespace {

constexpr std::size_t unit_max = std::size_t{1} << 30;

// Bytes of an entry in EAL's table. If IOVAs are virtual addresses they have no gaps, and large entries keep the table
// small: a gigabyte of small pages would cost 12 MiB. Physical addresses need an entry for each page.
std::size_t unit_of(const memory::MappedRegion& region, rte_iova_mode mode) noexcept {
  if (mode == RTE_IOVA_PA) return region.page_size();
  const memory::HostSpan mapping = region.mapping();
  const std::uint64_t common = reinterpret_cast<std::uintptr_t>(mapping.data) | mapping.size | unit_max;
  return std::size_t{1} << std::countr_zero(common);
}

Result<void> check(const memory::MappedRegion& region, rte_iova_mode mode, std::size_t pages_max) {
  if (mode == RTE_IOVA_DC) return make_error(ErrorCode::unsupported, "EAL is not running");
  if (mode == RTE_IOVA_PA && region.page_size() <= page_bytes())
    return make_error(ErrorCode::unsupported,
                      "its pages may move or be swapped: with physical addresses as IOVA only memory in huge pages "
                      "(hugetlbfs) can be registered");
  const std::size_t pages = region.mapping().size / unit_of(region, mode);
  if (pages > pages_max)
    return make_error(ErrorCode::limit, "it has {} pages of {:#x} bytes, the limit leaves {}", pages,
                      unit_of(region, mode), pages_max);
  return {};
}

// EAL logs an error if it has no list left, and a front-end can make us register as often as it likes. EAL's log would
// grow with each request, and would block the control thread if nothing reads it. So this is checked first. (If a
// thread of the application takes the last list in between, one line is logged.)
bool eal_has_a_list_left() noexcept {
  unsigned taken = 0;
  rte_memseg_list_walk(
      [](const rte_memseg_list*, void* count) {
        ++*static_cast<unsigned*>(count);
        return 0;
      },
      &taken);
  return taken < RTE_MAX_MEMSEG_LISTS;
}

// Faults pages in, because a page that our mapping has not touched has no physical address. After an error (no page is
// free; a kernel before 5.14) it stays without one; touching it would raise SIGBUS.
void fault_in(const std::uint8_t* page, std::size_t size) noexcept {
#ifdef MADV_POPULATE_READ
  ::madvise(memory::unqualified(page), size, MADV_POPULATE_READ);
#else
  (void)page, (void)size;
#endif
}

std::vector<rte_iova_t> read_pages(const memory::HostSpan& mapping, std::size_t page_size, rte_iova_mode mode) {
  std::vector<rte_iova_t> pages;
  pages.reserve(mapping.size / page_size);
  for (std::size_t at = 0; at < mapping.size; at += page_size) {
    if (mode == RTE_IOVA_PA) fault_in(mapping.data + at, page_size);
    pages.push_back(rte_mem_virt2iova(mapping.data + at));
  }
  return pages;
}

}  // namespace

DmaRegistration::DmaRegistration(std::shared_ptr<const memory::MappedRegion> region, std::size_t page_size) noexcept
    : region_(std::move(region)), page_size_(page_size) {}

Result<std::shared_ptr<const DmaRegistration>> DmaRegistration::create(
    std::shared_ptr<const memory::MappedRegion> region, std::size_t pages_max) {
  const rte_iova_mode mode = rte_eal_iova_mode();
  if (auto fits = check(*region, mode, pages_max); !fits) return std::move(fits).error();

  if (!eal_has_a_list_left())
    return make_system_error(ENOSPC, "EAL has {} memory areas already, which is its limit", RTE_MAX_MEMSEG_LISTS);

  const memory::HostSpan mapping = region->mapping();
  std::shared_ptr<DmaRegistration> made(new DmaRegistration(region, unit_of(*region, mode)));
  made->pages_ = read_pages(mapping, made->page_size_, mode);
  made->pages_unknown_ = static_cast<std::size_t>(std::count(made->pages_.begin(), made->pages_.end(), RTE_BAD_IOVA));
  if (made->pages_unknown_ == made->pages_.size())
    return make_error(ErrorCode::unsupported,
                      "no physical address is known: its pages are not allocated, or /proc/self/pagemap hides "
                      "them (CAP_SYS_ADMIN)");

  if (rte_extmem_register(memory::unqualified(mapping.data), mapping.size, made->pages_.data(),
                          static_cast<unsigned>(made->pages_.size()), made->page_size_) != 0)
    return make_system_error(rte_errno, "rte_extmem_register of {:#x} bytes at {}", mapping.size,
                             static_cast<const void*>(mapping.data));
  made->registered_ = true;
  return std::shared_ptr<const DmaRegistration>(std::move(made));
}

DmaRegistration::~DmaRegistration() {
  if (!registered_) return;
  const memory::HostSpan mapping = region_->mapping();
  [[maybe_unused]] const int done = rte_extmem_unregister(memory::unqualified(mapping.data), mapping.size);
  assert(done == 0);
}

}  // namespace vhostx::zerocopy
