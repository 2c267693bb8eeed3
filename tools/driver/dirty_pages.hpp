// SPDX-License-Identifier: BSD-3-Clause
// DirtyPages: the dirty log of a guest that migrates, as its front-end has it (vhost-user, "Migration").
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools {

/// A bit for each 4096 bytes of guest memory, which the back-end sets, in a memory file.
class DirtyPages {
 public:
  static constexpr std::uint64_t page_bytes = 4096;

  /// For guest addresses below `guest_end`. Error: no memory.
  static Result<DirtyPages> create(std::uint64_t guest_end);
  DirtyPages(DirtyPages&& other) noexcept;
  DirtyPages& operator=(DirtyPages&&) = delete;
  ~DirtyPages();

  int fd() const noexcept { return file_.get(); }
  /// What SET_LOG_BASE says.
  std::size_t bytes() const noexcept { return bytes_; }

  /// Takes all marks away and calls taken(page number) for each. Returns how many there were. Copy a page after its
  /// mark was taken: what is written later is marked again.
  template <typename F>
  std::uint64_t take(F&& taken) noexcept {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < bytes_ / sizeof(std::uint64_t); ++i) {
      if (__atomic_load_n(words_ + i, __ATOMIC_RELAXED) == 0) continue;
      std::uint64_t marks = __atomic_exchange_n(words_ + i, std::uint64_t{0}, __ATOMIC_ACQ_REL);
      for (; marks != 0; marks &= marks - 1, ++count)
        taken(i * 64 + static_cast<std::uint64_t>(std::countr_zero(marks)));
    }
    return count;
  }

 private:
  DirtyPages(UniqueFd file, std::uint64_t* words, std::size_t bytes) noexcept
      : file_(std::move(file)), words_(words), bytes_(bytes) {}

  UniqueFd file_;
  std::uint64_t* words_;
  std::size_t bytes_;
};

}  // namespace vhostx::tools
