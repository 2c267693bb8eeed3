// SPDX-License-Identifier: BSD-3-Clause
#include "base/page_memory.hpp"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include <sys/mman.h>

// AddressSanitizer watches the heap but not mmap. With it, pages come from the heap, so that it finds uses after free
// and leaks.
#if defined(__SANITIZE_ADDRESS__)
#define VHOSTX_PAGES_FROM_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VHOSTX_PAGES_FROM_HEAP 1
#endif
#endif

namespace vhostx {

std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t whole_pages(std::size_t bytes) noexcept { return (bytes + page_bytes() - 1) / page_bytes() * page_bytes(); }

#ifdef VHOSTX_PAGES_FROM_HEAP
void* map_pages(std::size_t bytes) noexcept {
  void* const pages = std::aligned_alloc(page_bytes(), whole_pages(bytes));
  if (pages != nullptr) std::memset(pages, 0, whole_pages(bytes));
  return pages;
}
void unmap_pages(void* pages, std::size_t) noexcept { std::free(pages); }
#else
void* map_pages(std::size_t bytes) noexcept {
  void* const pages = ::mmap(nullptr, whole_pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}
void unmap_pages(void* pages, std::size_t bytes) noexcept {
  if (pages != nullptr) ::munmap(pages, whole_pages(bytes));
}
#endif

}  // namespace vhostx
