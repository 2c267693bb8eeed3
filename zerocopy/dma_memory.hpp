// SPDX-License-Identifier: BSD-3-Clause
// DmaMemory: the addresses (IOVAs) by which devices reach guest memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rte_common.h>

#include "memory/guest_memory.hpp"
#include "zerocopy/dma_registration.hpp"

namespace vhostx::zerocopy {

/// Limits for one port: EAL's memory table belongs to the whole process, and one front-end must not fill it.
struct DmaLimits {
  std::size_t regions_max = 32;                  ///< Of EAL's RTE_MAX_MEMSEG_LISTS (128).
  std::size_t pages_max = std::size_t{1} << 20;  ///< Entries of all regions together, some 50 bytes each.
};

/// A table of guest memory: each region is registered with EAL, and the IOVA of each of its pages is known. Immutable,
/// like GuestMemory: each new GuestMemory gets a new one, which shares the registrations of regions that both hold.
///
/// After registration PMDs and rte_dev_dma_map() know the memory as external memory of this process, with its IOVAs.
/// The registration does not program an IOMMU: EAL's VFIO code maps on memory events, which rte_extmem_register() does
/// not raise, and it skips external memory when a device is attached. For each device behind an IOMMU the application
/// calls rte_dev_dma_map() for each region, and rte_dev_dma_unmap() before the table is destroyed. Secondary processes
/// see the memory only after rte_extmem_attach(), which this library does not support.
///
/// In PA mode only regions in huge pages have IOVAs. These pages do not move, like EAL's own, but the front-end can
/// take them away: a hole punched into its file returns pages to the host while devices still know their addresses.
/// Without an IOMMU (for which VFIO pins what is mapped) devices trust the front-end.
///
/// create() and the destructor take EAL's memory lock. Call them on the control thread, or where the last reference is
/// released; not on a data thread, and before rte_eal_cleanup(). The rest may be called from any thread.
class DmaMemory {
 public:
  /// Bytes that are contiguous in IOVA and in memory. `iova` is RTE_BAD_IOVA if devices cannot reach them.
  struct Piece {
    rte_iova_t iova;
    std::size_t size;
  };

  /// Registers what it can. A region that it cannot register has no mapping, and reason() says why. `before` may be
  /// null. Throws bad_alloc.
  static std::shared_ptr<const DmaMemory> create(std::shared_ptr<const memory::GuestMemory> memory,
                                                 const DmaMemory* before, const DmaLimits& limits = {});

  DmaMemory(const DmaMemory&) = delete;
  DmaMemory& operator=(const DmaMemory&) = delete;

  /// The IOVA of `data`, and how many of the `size` bytes from there are contiguous with it in IOVA. [data, data +
  /// size) must be in one region of this memory; that is not checked. No lock, allocation or system call.
  Piece find(const std::uint8_t* data, std::size_t size) const noexcept {
    if (virtual_) [[likely]]
      return {reinterpret_cast<std::uintptr_t>(data), size};
    return find_by_page(data, size);
  }

  const memory::GuestMemory& memory() const noexcept { return *memory_; }
  std::size_t regions() const noexcept { return memory_->regions().size(); }
  /// Regions of which every byte has an IOVA.
  std::size_t regions_mapped() const noexcept { return regions_mapped_; }
  /// Why the first region that is not mapped is not; empty if all are mapped.
  const std::string& reason() const noexcept { return reason_; }

 private:
  struct Span {
    std::uintptr_t begin;  // of the mapping, in whole pages
    std::size_t size;
    unsigned page_shift;
    const rte_iova_t* pages;  // null: not registered
  };
  struct Budget;

  explicit DmaMemory(std::shared_ptr<const memory::GuestMemory> memory) noexcept : memory_(std::move(memory)) {}

  void share(const DmaMemory& before, Budget& budget);
  void add(const std::shared_ptr<const memory::MappedRegion>& region, Budget& budget);
  void refuse(const memory::MappedRegion& region, const std::string& why);
  void index();
  Piece find_by_page(const std::uint8_t* data, std::size_t size) const noexcept;

  std::shared_ptr<const memory::GuestMemory> memory_;
  std::vector<std::shared_ptr<const DmaRegistration>> registrations_;
  std::vector<Span> spans_;  // one a region, by address
  std::size_t regions_mapped_ = 0;
  bool virtual_ = false;  // all are mapped, and IOVAs are virtual addresses
  std::string reason_;
};

}  // namespace vhostx::zerocopy
