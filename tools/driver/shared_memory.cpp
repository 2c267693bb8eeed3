// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/shared_memory.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <sys/mman.h>

#include "base/error.hpp"

namespace vhostx::tools {
namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
constexpr std::size_t page_bytes = 4096;
constexpr std::size_t alignment_max = page_bytes;
constexpr std::size_t reserve = 64;  // buffers may begin that much behind where they were allocated
constexpr std::uint64_t guest_base = 0x4000'0000;
constexpr unsigned memfd_hugetlb_2mib = MFD_HUGETLB | 21U << 26;  // MFD_HUGE_2MB

constexpr std::size_t round_up(std::size_t value, std::size_t to) noexcept { return (value + to - 1) / to * to; }

std::size_t free_huge_pages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::size_t pages = 0;
  file >> pages;
  return pages;
}

}  // namespace

Result<SharedMemory> SharedMemory::create(std::size_t bytes, unsigned regions, std::size_t piece_bytes_max,
                                          bool huge_pages) {
  const std::size_t each = round_up(bytes / regions + piece_bytes_max + alignment_max + reserve, huge_page_bytes);
  SharedMemory memory(huge_pages && free_huge_pages() >= each / huge_page_bytes * regions);
  for (unsigned i = 0; i < regions; ++i)
    // Gaps between the regions, so that none is taken for a part of another.
    if (auto added = memory.add_region(guest_base + i * (each + huge_page_bytes), each); !added) return added.error();
  return memory;
}

Result<UniqueFd> SharedMemory::make_file(std::size_t size) const {
  UniqueFd file(memfd_create("vhostx-guest", MFD_CLOEXEC | (huge_ ? memfd_hugetlb_2mib : 0)));
  if (!file || ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    return make_system_error(errno, "making {} bytes of guest memory", size);
  return file;
}

Result<std::uint8_t*> SharedMemory::map_file(const UniqueFd& file, std::size_t size) const {
  void* const view = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (view == MAP_FAILED) return make_system_error(errno, "mapping {} bytes of guest memory", size);
  return static_cast<std::uint8_t*>(view);
}

Result<void> SharedMemory::add_region(std::uint64_t guest, std::size_t size) {
  auto file = make_file(size);
  if (!file) return file.error();
  auto view = map_file(*file, size);
  if (!view) {
    if (!huge_ || !regions_.empty()) return view.error();
    huge_ = false;  // somebody else took the free pages in the meantime
    return add_region(guest, size);
  }
  regions_.push_back({*std::move(file), *view, guest, size, 0, {}, nullptr});
  return {};
}

Result<void> SharedMemory::replace_files() {
  if (auto begun = begin_copy(); !begun) return begun;
  copy_all();
  return adopt_copy();
}

Result<void> SharedMemory::begin_copy() {
  auto made = make_copies();
  if (made || !huge_) return made;
  huge_ = false;  // too few huge pages for a second time
  return make_copies();
}

Result<void> SharedMemory::make_copies() {
  drop_copies();
  for (Region& region : regions_) {
    auto file = make_file(region.size);
    if (!file) return file.error();
    auto view = map_file(*file, region.size);
    if (!view) return view.error();
    region.copy_file = *std::move(file);
    region.copy = *view;
  }
  return {};
}

void SharedMemory::drop_copies() noexcept {
  for (Region& region : regions_) {
    if (region.copy != nullptr) munmap(region.copy, region.size);
    region.copy = nullptr;
    region.copy_file.reset();
  }
}

void SharedMemory::copy_all() noexcept {
  for (const Region& region : regions_) std::memcpy(region.copy, region.view, region.size);
}

void SharedMemory::copy_page(std::uint64_t page) noexcept {
  for (const Region& region : regions_) {
    const std::uint64_t at = page * page_bytes - region.guest;  // below the region it wraps
    if (at < region.size) std::memcpy(region.copy + at, region.view + at, page_bytes);
  }
}

void SharedMemory::copy_bytes(const void* at, std::size_t bytes) noexcept {
  for (const Region& region : regions_) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::uint8_t*>(at) - region.view);
    if (offset >= region.size) continue;
    const std::size_t begin = offset / page_bytes * page_bytes;
    const std::size_t end = round_up(offset + bytes, page_bytes);
    std::memcpy(region.copy + begin, region.view + begin, end - begin);
  }
}

Result<void> SharedMemory::adopt_copy() {
  for (Region& region : regions_) {
    if (mremap(region.copy, region.size, region.size, MREMAP_MAYMOVE | MREMAP_FIXED, region.view) == MAP_FAILED)
      return make_system_error(errno, "moving {} bytes of guest memory", region.size);
    region.copy = nullptr;
    region.file = std::move(region.copy_file);
  }
  return {};
}

std::uint64_t SharedMemory::guest_address(const void* at) const noexcept {
  for (const Region& region : regions_) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::uint8_t*>(at) - region.view);
    if (offset < region.size) return region.guest + offset;
  }
  return 0;
}

std::uint64_t SharedMemory::guest_end() const noexcept { return regions_.back().guest + regions_.back().size; }

SharedMemory::~SharedMemory() {
  drop_copies();
  for (const Region& region : regions_) munmap(region.view, region.size);
}

SharedMemory::Piece SharedMemory::allocate(std::size_t bytes, std::size_t alignment) {
  for (; current_ < regions_.size(); ++current_) {
    Region& region = regions_[current_];
    const std::size_t at = round_up(region.used, alignment);
    if (at + bytes + reserve > region.size) continue;
    region.used = at + bytes;
    return {region.view + at, region.guest + at};
  }
  assert(false && "create() was asked for too little");
  return {};
}

std::size_t SharedMemory::bytes() const noexcept {
  std::size_t sum = 0;
  for (const Region& region : regions_) sum += region.size;
  return sum;
}

protocol::MemoryRegion SharedMemory::description(std::size_t region) const noexcept {
  const Region& one = regions_[region];
  return {one.guest, one.size, reinterpret_cast<std::uint64_t>(one.view), 0};
}

}  // namespace vhostx::tools
