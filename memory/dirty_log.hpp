// SPDX-License-Identifier: BSD-3-Clause
// DirtyLog: the pages of a guest that were written while it migrates (vhost-user, "Migration").
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "memory/address.hpp"
#include "memory/mapped_region.hpp"

namespace vhostx::memory {

/// One bit for each page of 4096 bytes, from guest address 0 on. The front-end takes marks away at any time, and copies
/// those pages then. So a mark comes after the write; one that came before could be taken away before it, and the write
/// would be lost. The mapping never changes, except that its file may lose pages. All functions may be called from any
/// thread.
class DirtyLog {
 public:
  static constexpr unsigned page_shift = 12;

  /// The log that SET_LOG_BASE describes: `bytes` from `offset` of `file`. `alarm` and `budget` as for
  /// MappedRegion::map(). Errors: protocol_violation (no bytes; the file is too small, or none), system, out_of_memory.
  static Result<std::shared_ptr<const DirtyLog>> map(UniqueFd file, std::uint64_t offset, std::uint64_t bytes,
                                                     std::shared_ptr<const EventFd> alarm = {},
                                                     std::shared_ptr<TouchBudget> budget = {});
  std::uint64_t bytes() const noexcept { return pages_ / 8; }
  /// Its first byte in its file, and in this process.
  std::uint64_t offset() const noexcept { return map_->description().mmap_offset; }
  const std::uint8_t* data() const noexcept { return bits_; }

  /// Marks the pages of [address, address + bytes); what is beyond the log is ignored.
  void mark(GuestAddress address, std::size_t bytes) const noexcept {
    if (bytes == 0) return;
    const std::uint64_t end = std::min(((address.value + bytes - 1) >> page_shift) + 1, pages_);
    for (std::uint64_t page = address.value >> page_shift; page < end; ++page)
      __atomic_fetch_or(bits_ + page / 8, static_cast<std::uint8_t>(1U << (page % 8)), __ATOMIC_RELEASE);
  }

  /// Bytes of a log that covers `address`.
  static constexpr std::uint64_t bytes_for(GuestAddress address) noexcept {
    return address.value / (std::uint64_t{8} << page_shift) + 1;
  }
  /// Whether it has a bit for the page at `address`.
  bool covers(GuestAddress address) const noexcept { return address.value >> page_shift < pages_; }

  /// Whether its file had no page for it: then marks are lost.
  bool is_lost() const noexcept { return map_->lost_at().has_value(); }

 private:
  explicit DirtyLog(std::shared_ptr<const MappedRegion> map) noexcept
      : map_(std::move(map)), bits_(map_->host()), pages_(map_->description().size * 8) {}

  const std::shared_ptr<const MappedRegion> map_;
  std::uint8_t* const bits_;
  const std::uint64_t pages_;
};

}  // namespace vhostx::memory
