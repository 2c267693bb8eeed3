// SPDX-License-Identifier: BSD-3-Clause
// Memory in whole pages that hold nothing else, so that they can be moved to another NUMA node.
#pragma once

#include <cstddef>
#include <new>

namespace vhostx {

/// Size of an ordinary page, bytes.
std::size_t page_bytes() noexcept;

/// Zeroed, private, page-aligned, rounded up to whole pages. Null: out of memory.
void* map_pages(std::size_t bytes) noexcept;
/// `bytes` as given to map_pages().
void unmap_pages(void* pages, std::size_t bytes) noexcept;
/// `bytes` rounded up to whole pages.
std::size_t whole_pages(std::size_t bytes) noexcept;

/// A base class: each object that `new` makes has pages of its own.
class InOwnPages {
 public:
  static void* operator new(std::size_t bytes) {
    if (void* const pages = map_pages(bytes); pages != nullptr) return pages;
    throw std::bad_alloc();
  }
  static void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return map_pages(bytes); }
  static void operator delete(void* pages, std::size_t bytes) noexcept { unmap_pages(pages, bytes); }

 protected:
  InOwnPages() = default;
  ~InOwnPages() = default;
};

/// The same for containers and std::allocate_shared.
template <typename T>
struct PageAllocator {
  using value_type = T;

  PageAllocator() = default;
  template <typename U>
  PageAllocator(const PageAllocator<U>&) noexcept {}

  T* allocate(std::size_t count) {
    if (void* const pages = map_pages(count * sizeof(T)); pages != nullptr) return static_cast<T*>(pages);
    throw std::bad_alloc();
  }
  void deallocate(T* pages, std::size_t count) noexcept { unmap_pages(pages, count * sizeof(T)); }
  bool operator==(const PageAllocator&) const noexcept { return true; }
};

}  // namespace vhostx
