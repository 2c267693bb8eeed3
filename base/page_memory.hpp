// SPDX-License-Identifier: BSD-3-Clause
// Memory in whole pages of its own: nothing else lies in them, so that they can be moved to another NUMA node.
#pragma once

#include <cstddef>
#include <new>

namespace vhostx {

/// Of an ordinary page, bytes.
std::size_t page_bytes() noexcept;

/// Zeroed, private, on page borders, rounded up to whole pages. Null: there is no memory.
void* map_pages(std::size_t bytes) noexcept;
/// `bytes` as given to map_pages().
void unmap_pages(void* pages, std::size_t bytes) noexcept;
/// `bytes` rounded up to whole pages.
std::size_t whole_pages(std::size_t bytes) noexcept;

/// A base class: each object that `new` makes lies in pages of its own.
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

/// For containers, and for std::allocate_shared.
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
