// SPDX-License-Identifier: BSD-3-Clause
// SharedMemory: the guest's memory, in memfds that the back-end maps too; on huge pages where enough are free and
// wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::tools {

class SharedMemory {
 public:
  /// A piece of it, as the driver and as the device name it.
  struct Piece {
    std::uint8_t* at = nullptr;
    std::uint64_t guest = 0;
  };

  /// Room for `bytes` in `regions` regions of equal size; no single piece is larger than `piece_bytes_max`.
  static Result<SharedMemory> create(std::size_t bytes, unsigned regions, std::size_t piece_bytes_max,
                                     bool huge_pages = true);
  SharedMemory(SharedMemory&&) noexcept = default;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  /// Zeroed, aligned to `alignment`, never across two regions. What was promised in create() is there (asserted).
  Piece allocate(std::size_t bytes, std::size_t alignment);

  /// Moves all of it into new files: to the driver nothing changes, to a device that keeps the old ones everything.
  /// No device may write meanwhile.
  Result<void> replace_files();

  /// The same in steps, for a guest that moves while its device writes. begin_copy() makes the files, empty;
  /// copy_page() copies the 4096 bytes at guest address 4096 * `page` (a page that is not here is left out);
  /// copy_bytes() all pages that the bytes are on. adopt_copy(): the memory is the copy from now on.
  Result<void> begin_copy();
  void copy_all() noexcept;
  void copy_page(std::uint64_t page) noexcept;
  void copy_bytes(const void* at, std::size_t bytes) noexcept;
  Result<void> adopt_copy();
  /// Of a byte of it; 0: it is none.
  std::uint64_t guest_address(const void* at) const noexcept;
  /// One more than the highest guest address.
  std::uint64_t guest_end() const noexcept;

  bool huge_pages() const noexcept { return huge_; }
  std::size_t bytes() const noexcept;
  std::size_t region_count() const noexcept { return regions_.size(); }
  /// front_end_address is where it lies in this process.
  protocol::MemoryRegion description(std::size_t region) const noexcept;
  int fd(std::size_t region) const noexcept { return regions_[region].file.get(); }

 private:
  struct Region {
    UniqueFd file;
    std::uint8_t* view;
    std::uint64_t guest;
    std::size_t size;
    std::size_t used;
    UniqueFd copy_file;
    std::uint8_t* copy = nullptr;
  };

  explicit SharedMemory(bool huge) noexcept : huge_(huge) {}
  Result<UniqueFd> make_file(std::size_t size) const;
  Result<std::uint8_t*> map_file(const UniqueFd& file, std::size_t size) const;
  Result<void> add_region(std::uint64_t guest, std::size_t size);
  Result<void> make_copies();
  void drop_copies() noexcept;

  bool huge_;
  std::size_t current_ = 0;
  std::vector<Region> regions_;
};

}  // namespace vhostx::tools
