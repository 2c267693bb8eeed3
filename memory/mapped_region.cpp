// SPDX-License-Identifier: BSD-3-Clause
#include "memory/mapped_region.hpp"

#include <algorithm>
#include <limits>

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.hpp"
#include "base/file_kind.hpp"
#include "base/page_memory.hpp"

namespace vhostx::memory {
namespace {

constexpr std::uint64_t address_max = std::numeric_limits<std::uint64_t>::max();

// On hugetlbfs mappings are made of huge pages: length and offset of mmap must be multiples of that size.
Result<std::size_t> page_size_of(int fd) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) != 0) return make_system_error(errno, "fstatfs on a memory region's file");
  if (fs.f_type == HUGETLBFS_MAGIC) return static_cast<std::size_t>(fs.f_bsize);
  return page_bytes();
}

Result<void> check_numbers(const RegionDescription& region) {
  const auto violation = [&region](const char* what) {
    return make_error(
        ErrorCode::protocol_violation,
        "memory region at guest address {:#x}, size {:#x}, front-end address {:#x}, file offset {:#x}: {}",
        region.guest.value, region.size, region.front_end.value, region.mmap_offset, what);
  };
  if (region.size == 0) return violation("size is 0");
  if (region.size - 1 > address_max - region.guest.value) return violation("guest address + size exceeds 2^64");
  if (region.size - 1 > address_max - region.front_end.value) return violation("front-end address + size exceeds 2^64");
  if (region.size > address_max - region.mmap_offset) return violation("file offset + size exceeds 2^64");
  return {};
}

// Touching pages beyond a file's end raises SIGBUS (CVE-2026-86561), so only what the file holds is mapped.
Result<FileId> check_file(const RegionDescription& region, int fd) {
  const FileKind kind = file_kind(fd);
  if (kind != FileKind::regular)
    return protocol_violation(
        "descriptor of the memory region at guest address {:#x} is a {}, expected a file or memfd", region.guest.value,
        to_string(kind));
  struct stat status {};
  if (::fstat(fd, &status) != 0) return make_system_error(errno, "fstat on a memory region's file");
  if (region.mmap_offset + region.size > static_cast<std::uint64_t>(status.st_size))
    return protocol_violation(
        "memory region at guest address {:#x} wants {:#x} bytes from offset {:#x}, its file has {:#x}",
        region.guest.value, region.size, region.mmap_offset, status.st_size);
  return FileId{status.st_dev, status.st_ino};
}

// Large regions have the same offset within a large page as in their file. The kernel can then map large pages, and EAL
// or an IOMMU needs fewer table entries.
constexpr std::size_t large_page = std::size_t{2} << 20;

std::size_t round_up(std::size_t value, std::size_t unit) noexcept { return (value + unit - 1) / unit * unit; }

// mmap starts at a page of the file. What precedes the region's own offset is mapped but never handed out.
std::size_t lead_of(const RegionDescription& region, std::size_t page) noexcept { return region.mmap_offset % page; }

}  // namespace

Result<std::shared_ptr<const MappedRegion>> MappedRegion::map(const RegionDescription& description, UniqueFd file,
                                                              std::shared_ptr<const EventFd> alarm,
                                                              std::shared_ptr<TouchBudget> budget) {
  if (auto numbers = check_numbers(description); !numbers) return std::move(numbers).error();
  const auto id = check_file(description, file.get());
  if (!id) return id.error();
  const auto page = page_size_of(file.get());
  if (!page) return page.error();

  const std::size_t lead = lead_of(description, *page);
  const std::size_t length = round_up(description.size + lead, *page);
  const auto offset = static_cast<off_t>(description.mmap_offset - lead);

  // A guard of at least a page each side, and room to find a start in.
  std::shared_ptr<MappedRegion> region(new MappedRegion(description, *id, *page));
  const std::size_t alignment = std::max(*page, length < large_page ? *page : large_page);
  const std::size_t reserve = length + 2 * *page + alignment;
  if (Releases* const releases = file.releases(); releases != nullptr) {
    region->ticket_ = releases->ticket();
    if (!region->ticket_) return make_error(ErrorCode::out_of_memory, "no memory for a region of guest memory");
  }
  void* reservation = ::mmap(nullptr, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reservation == MAP_FAILED) return make_system_error(errno, "reserving {:#x} bytes for guest memory", reserve);
  region->reservation_ = static_cast<std::uint8_t*>(reservation);
  region->reservation_size_ = reserve;

  const std::size_t skew = static_cast<std::uint64_t>(offset) % alignment;
  const auto begin = round_up(reinterpret_cast<std::uintptr_t>(reservation) + *page - skew, alignment) + skew;
  region->first_ = reinterpret_cast<std::uint8_t*>(begin);
  constexpr int flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE;
  void* mapped = ::mmap(reinterpret_cast<void*>(begin), length, PROT_READ | PROT_WRITE, flags, file.get(), offset);
  // The guard page after it maps the file too: even if the mapping itself is replaced (memory/bus_errors.cpp), the file
  // is released only with the guard.
  if (mapped == MAP_FAILED ||
      ::mmap(reinterpret_cast<void*>(begin + length), *page, PROT_NONE, flags, file.get(), offset) == MAP_FAILED)
    return make_system_error(errno, "mapping {:#x} bytes at file offset {:#x} (page size {:#x})", length, offset,
                             *page);
  // Core dumps of the application and children of fork() do not need guest memory.
  ::madvise(mapped, length + *page, MADV_DONTDUMP);
  ::madvise(mapped, length + *page, MADV_DONTFORK);
  region->host_ = static_cast<std::uint8_t*>(mapped) + lead;
  // Huge pages are not charged to this limit; whoever made the file reserved them.
  if (*page != page_bytes() || budget == nullptr || !guard(region->mapping())) budget = nullptr;
  region->pages_.emplace(region->mapping(), std::move(alarm), std::move(budget));
  return std::shared_ptr<const MappedRegion>(std::move(region));
}

HostSpan MappedRegion::mapping() const noexcept {
  const std::size_t lead = lead_of(description_, page_size_);
  return {host_ - lead, round_up(description_.size + lead, page_size_)};
}

std::optional<GuestAddress> MappedRegion::lost_at() const noexcept {
  const auto offset = pages_->lost_at();
  if (!offset) return std::nullopt;
  // The mapping also has the rest of the region's first and last page.
  const std::uint64_t lead = lead_of(description_, page_size_);
  const std::uint64_t within = *offset < lead ? 0 : *offset - lead;
  return GuestAddress{description_.guest.value + std::min(within, description_.size - 1)};
}

MappedRegion::~MappedRegion() {
  pages_.reset();  // before another mapping can have this place
  if (reservation_ == nullptr) return;
  if (ticket_)
    ticket_.unmap({.begin = reservation_, .bytes = reservation_size_, .first = first_, .page = page_size_});
  else
    ::munmap(reservation_, reservation_size_);
}

}  // namespace vhostx::memory
