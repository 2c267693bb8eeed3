// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/counter_pages.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/error.hpp"
#include "base/page_memory.hpp"
#include "base/sealed_file.hpp"

namespace vhostx::backend {
namespace {

constexpr int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

off_t bytes_for(std::uint16_t rings) noexcept { return static_cast<off_t>((rings + 1) * counter_page_bytes); }

/// A file as create() makes it, which no reader waits for.
bool fits(const UniqueFd& file, std::uint16_t rings) noexcept {
  struct stat facts {};
  return is_sealed_memory(file.get()) && ::fstat(file.get(), &facts) == 0 && facts.st_size == bytes_for(rings);
}

}  // namespace

Result<CounterPages> CounterPages::create(std::uint16_t rings) {
  if (page_bytes() != counter_page_bytes)
    return make_error(ErrorCode::unsupported, "pages of {} bytes, expected {}", page_bytes(), counter_page_bytes);
  UniqueFd file(::memfd_create("vhostx-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), bytes_for(rings)) != 0 || ::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
    return make_system_error(errno, "making a file of {} bytes for counters", bytes_for(rings));
  ::fallocate(file.get(), 0, 0, bytes_for(rings));  // where it fails, the pages come later
  return CounterPages(std::move(file), rings);
}

void CounterPages::copy(const UniqueFd& found) noexcept {
  if (!fits(found, rings_)) return;
  std::array<std::byte, 4 * counter_page_bytes> pages;
  for (off_t at = 0; at < bytes_for(rings_);) {
    const ssize_t got = ::pread(found.get(), pages.data(), pages.size(), at);
    if (got <= 0 || ::pwrite(file_.get(), pages.data(), static_cast<std::size_t>(got), at) != got) return;
    at += got;
  }
}

std::uint64_t CounterPages::connections() const noexcept {
  std::uint64_t count = 0;
  return ::pread(file_.get(), &count, sizeof count, 0) == sizeof count ? count : 0;
}

void CounterPages::set_connections(std::uint64_t count) noexcept {
  [[maybe_unused]] const auto written = ::pwrite(file_.get(), &count, sizeof count, 0);
}

// MAP_POPULATE: no burst is the first to touch it. Others may read the counters meanwhile: they find the page of
// before, or this one. So by the system call itself, in which a checker sees no write.
Result<void> CounterPages::show_in(PagedCounters& counters, std::uint16_t ring) const {
  const long page = ::syscall(SYS_mmap, &counters, counter_page_bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED | MAP_POPULATE, file_.get(), bytes_for(ring));
  if (page == -1) return make_system_error(errno, "mapping the counters of vring {}", ring);
  return {};
}

void CounterPages::release(PagedCounters& counters) noexcept {
  ::syscall(SYS_mmap, &counters, counter_page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
            -1, 0);
}

}  // namespace vhostx::backend
