// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/dirty_pages.hpp"

#include <cerrno>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>

#include "base/error.hpp"

namespace vhostx::tools {

Result<DirtyPages> DirtyPages::create(std::uint64_t guest_end) {
  const std::uint64_t pages_a_word = 64 * page_bytes;
  const std::size_t bytes = (guest_end + pages_a_word - 1) / pages_a_word * sizeof(std::uint64_t);
  UniqueFd file(::memfd_create("vhostx-log", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
    return make_system_error(errno, "making a dirty log of {} bytes", bytes);
  void* const view = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (view == MAP_FAILED) return make_system_error(errno, "mapping a dirty log of {} bytes", bytes);
  return DirtyPages(std::move(file), static_cast<std::uint64_t*>(view), bytes);
}

DirtyPages::DirtyPages(DirtyPages&& other) noexcept
    : file_(std::move(other.file_)), words_(std::exchange(other.words_, nullptr)), bytes_(other.bytes_) {}

DirtyPages::~DirtyPages() {
  if (words_ != nullptr) ::munmap(words_, bytes_);
}

}  // namespace vhostx::tools
