// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/shared_memory.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <fstream>

#include <sys/mman.h>

#include "base/error.hpp"

namespace vhostx::tools {
namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
constexpr std::size_t alignment_max = 4096;
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

Result<void> SharedMemory::add_region(std::uint64_t guest, std::size_t size) {
  auto made = make_file(size);
  if (!made) return made.error();
  UniqueFd file = *std::move(made);
  void* view = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (view == MAP_FAILED) {
    if (!huge_ || !regions_.empty()) return make_system_error(errno, "mapping {} bytes of guest memory", size);
    huge_ = false;  // somebody else took the free pages in the meantime
    return add_region(guest, size);
  }
  regions_.push_back({std::move(file), static_cast<std::uint8_t*>(view), guest, size, 0});
  return {};
}

Result<void> SharedMemory::replace_files() {
  for (Region& region : regions_) {
    auto file = make_file(region.size);
    if (!file) return file.error();
    std::vector<std::uint8_t> contents(region.view, region.view + region.size);
    void* view = mmap(region.view, region.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->get(), 0);
    if (view == MAP_FAILED) return make_system_error(errno, "mapping {} bytes of guest memory", region.size);
    std::copy(contents.begin(), contents.end(), region.view);
    region.file = *std::move(file);
  }
  return {};
}

SharedMemory::~SharedMemory() {
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
