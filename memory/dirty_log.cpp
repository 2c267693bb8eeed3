// SPDX-License-Identifier: BSD-3-Clause
#include "memory/dirty_log.hpp"

#include <utility>

#include "base/error.hpp"

namespace vhostx::memory {

Result<std::shared_ptr<const DirtyLog>> DirtyLog::map(UniqueFd file, std::uint64_t offset, std::uint64_t bytes,
                                                      std::shared_ptr<const EventFd> alarm,
                                                      std::shared_ptr<TouchBudget> budget) {
  auto region =
      MappedRegion::map({.size = bytes, .mmap_offset = offset}, std::move(file), std::move(alarm), std::move(budget));
  if (!region) return make_error(region.error().code, "dirty log: {}", region.error().message);
  return std::shared_ptr<const DirtyLog>(new DirtyLog(std::move(region).value()));
}

}  // namespace vhostx::memory
