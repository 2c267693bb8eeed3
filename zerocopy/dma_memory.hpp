// SPDX-License-Identifier: BSD-3-Clause
// DmaMemory: where devices find guest memory.
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

/// EAL's table of memory is the whole process's: one front-end must not fill it for all others.
struct DmaLimits {
  std::size_t regions_max = 32;                  ///< Of EAL's RTE_MAX_MEMSEG_LISTS (128).
  std::size_t pages_max = std::size_t{1} << 20;  ///< Entries of all regions together, some 50 bytes each.
};

/// A table of guest memory, each region registered with EAL, and the IOVA of each of its pages. Immutable, as the
/// table: a new one is made with it, and shares the registrations of regions that both hold.
///
/// What the registration does: PMDs and rte_dev_dma_map() know the memory as external memory of this process, with its
/// IOVAs. What it does not do: program an IOMMU. rte_extmem_register() tells nobody (EAL's VFIO code maps by memory
/// events, which external memory raises only as part of a heap, and passes over it when a device is attached). For each
/// device behind an IOMMU the application itself calls rte_dev_dma_map() for each region, and rte_dev_dma_unmap()
/// before the table goes. Secondary processes see the memory only after rte_extmem_attach(), which ours is not made
/// for.
///
/// In PA mode only regions in huge pages have IOVAs: their pages stay where they are, as EAL's own, unless someone asks
/// for the contrary. The front-end can: a hole punched into its file gives pages back to the host while devices still
/// know their addresses. Without an IOMMU, for which VFIO pins what is mapped, devices trust the front-end.
///
/// create() and the destructor take EAL's memory lock: the control thread, or whoever lets go of the last reference;
/// not a data thread, and before rte_eal_cleanup(). The rest may be called from any thread.
class DmaMemory {
 public:
  /// Bytes in a row, in IOVA as in memory. `iova` is RTE_BAD_IOVA where devices have no way to them.
  struct Piece {
    rte_iova_t iova;
    std::size_t size;
  };

  /// Registers what it can; what it cannot has no mapping, and reason() says why. `before` may be null.
  /// Throws bad_alloc.
  static std::shared_ptr<const DmaMemory> create(std::shared_ptr<const memory::GuestMemory> memory,
                                                 const DmaMemory* before, const DmaLimits& limits = {});

  DmaMemory(const DmaMemory&) = delete;
  DmaMemory& operator=(const DmaMemory&) = delete;

  /// The IOVA of `data`, and how many of the `size` bytes from there follow it in IOVA. [data, data + size) lies in one
  /// region of this memory, which is not checked beyond the border of regions. No lock, allocation or system call.
  Piece find(const std::uint8_t* data, std::size_t size) const noexcept {
    if (virtual_) [[likely]]
      return {reinterpret_cast<std::uintptr_t>(data), size};
    return find_by_page(data, size);
  }

  const memory::GuestMemory& memory() const noexcept { return *memory_; }
  std::size_t regions() const noexcept { return memory_->regions().size(); }
  /// Regions of which every byte has an IOVA.
  std::size_t regions_mapped() const noexcept { return regions_mapped_; }
  /// What stands in the way of the first region that is not mapped; empty where all are.
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
