// SPDX-License-Identifier: BSD-3-Clause
// MappedRegion: one region of guest memory, mapped between guard pages.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <vhostx/result.hpp>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "memory/address.hpp"
#include "memory/bus_errors.hpp"

namespace vhostx::memory {

/// A region as the front-end describes it (vhost-user, "Memory region description").
struct RegionDescription {
  GuestAddress guest;
  FrontEndAddress front_end;
  std::uint64_t size = 0;         ///< Bytes, not 0.
  std::uint64_t mmap_offset = 0;  ///< Where the region begins in the file.
};

/// Identifies a file, from fstat; unique while the file exists.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

/// Unmapped when the last GuestMemory that holds it is gone. Immutable, except that its file may lose pages.
class MappedRegion {
 public:
  /// Maps `description` from `file`, which must be a regular file (memfd, hugetlbfs, tmpfs) that is large enough. The
  /// file is closed afterwards: the mapping keeps it alive. If file.releases() is set, the last owner hands the mapping
  /// over to it to be unmapped. `alarm` is signalled once when pages are lost; may be null. `budget` pays for pages
  /// that first touches allocate; null: they are not counted. Errors: protocol_violation (which number is out of range,
  /// and its bound), system (fstat, mmap), out_of_memory.
  static Result<std::shared_ptr<const MappedRegion>> map(const RegionDescription& description, UniqueFd file,
                                                         std::shared_ptr<const EventFd> alarm = {},
                                                         std::shared_ptr<TouchBudget> budget = {});

  ~MappedRegion();
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  const RegionDescription& description() const noexcept { return description_; }
  std::uint8_t* host() const noexcept { return host_; }
  /// The byte at `offset`, which is below the region's size.
  std::uint8_t* at(std::size_t offset) const noexcept { return host_ + offset; }
  std::size_t page_size() const noexcept { return page_size_; }
  /// All that is mapped, in whole pages: it may begin before host() and end after the region's last byte.
  HostSpan mapping() const noexcept;
  /// Guest address at which the file first had no page. From then on the region shows our own zeroes. Any thread.
  std::optional<GuestAddress> lost_at() const noexcept;
  /// The limit that had no room for the page at lost_at(); null: the file had no page.
  const MemoryLimit* no_room_in() const noexcept { return pages_->no_room_in(); }
  /// For a second mapping of its pages: the alarm and budget to watch it with.
  const LosableMapping& pages() const noexcept { return *pages_; }
  /// Its file, to find files that are mapped more than once.
  const FileId& file() const noexcept { return file_; }

 private:
  MappedRegion(const RegionDescription& description, const FileId& file, std::size_t page_size) noexcept
      : description_(description), file_(file), page_size_(page_size) {}

  RegionDescription description_;
  FileId file_;
  std::size_t page_size_;
  ReleaseTicket ticket_;                 // unmaps through it; empty: the destructor unmaps
  std::uint8_t* reservation_ = nullptr;  // guard page, mapping, guard page
  std::size_t reservation_size_ = 0;
  std::uint8_t* first_ = nullptr;  // where the file's pages begin
  std::uint8_t* host_ = nullptr;   // where description_.guest is
  std::optional<LosableMapping> pages_;
};

}  // namespace vhostx::memory
