// SPDX-License-Identifier: BSD-3-Clause
// DmaRegistration: one region of guest memory, registered with EAL while this exists.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include <rte_common.h>

#include <vhostx/result.hpp>

#include "memory/mapped_region.hpp"

namespace vhostx::zerocopy {

/// Registered with rte_extmem_register(), and unregistered before the region is unmapped, on the thread that releases
/// the last reference. That takes EAL's memory lock for writing and ends in munmap().
class DmaRegistration {
 public:
  /// Registers all pages of `region`, with at most `pages_max` entries of some 50 bytes in EAL's table.
  /// Errors: unsupported (EAL is not running; ordinary pages in PA mode), limit (more pages), system (EAL's refusal).
  static Result<std::shared_ptr<const DmaRegistration>> create(std::shared_ptr<const memory::MappedRegion> region,
                                                               std::size_t pages_max);

  ~DmaRegistration();
  DmaRegistration(const DmaRegistration&) = delete;
  DmaRegistration& operator=(const DmaRegistration&) = delete;

  const std::shared_ptr<const memory::MappedRegion>& region() const noexcept { return region_; }
  /// As registered with EAL: bytes of an entry, and the IOVA of each, from the begin of the region's mapping.
  std::size_t page_size() const noexcept { return page_size_; }
  const std::vector<rte_iova_t>& pages() const noexcept { return pages_; }
  /// Pages whose IOVA is RTE_BAD_IOVA: only in PA mode.
  std::size_t pages_unknown() const noexcept { return pages_unknown_; }

 private:
  DmaRegistration(std::shared_ptr<const memory::MappedRegion> region, std::size_t page_size) noexcept;

  std::shared_ptr<const memory::MappedRegion> region_;
  std::size_t page_size_;
  std::vector<rte_iova_t> pages_;
  std::size_t pages_unknown_ = 0;
  bool registered_ = false;
};

}  // namespace vhostx::zerocopy
