// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_guest.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <sys/mman.h>

#include "base/page_memory.hpp"

namespace vhostx::test {
namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

// One after the other in whole pages, so that neighbours for the guest are neighbours in the front-end too.
FakeGuest::FakeGuest(const std::vector<Region>& regions) {
  const auto pages = [](const Region& region) {
    return (region.size + page_bytes() - 1) / page_bytes() * page_bytes();
  };
  std::size_t bytes = 0;
  for (const auto& region : regions) bytes += pages(region);
  void* const place = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) die("reserving memory");
  auto* next = static_cast<std::uint8_t*>(place);
  for (const auto& region : regions) {
    UniqueFd file(::memfd_create("fake guest", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(region.size)) != 0) die("memfd");
    void* view = ::mmap(next, region.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0);
    if (view == MAP_FAILED) die("mmap");
    next += pages(region);
    parts_.push_back({region.guest, region.size, 0, std::move(file), static_cast<std::uint8_t*>(view)});
  }
}

FakeGuest::~FakeGuest() {
  for (const auto& part : parts_) ::munmap(part.view, part.size);
}

std::shared_ptr<const memory::GuestMemory> FakeGuest::map() const {
  std::vector<std::shared_ptr<const memory::MappedRegion>> regions;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto region = memory::MappedRegion::map(description(i), file(i));
    if (!region) die(region.error().message.c_str());
    regions.push_back(std::move(region).value());
  }
  auto memory = memory::GuestMemory::create(std::move(regions), {});
  if (!memory) die(memory.error().message.c_str());
  return std::move(memory).value();
}

memory::RegionDescription FakeGuest::description(std::size_t region) const {
  const Part& part = parts_[region];
  return {.guest = {part.guest}, .front_end = {reinterpret_cast<std::uint64_t>(part.view)}, .size = part.size};
}

UniqueFd FakeGuest::file(std::size_t region) const {
  UniqueFd copy(::dup(parts_[region].file.get()));
  if (!copy) die("dup");
  return copy;
}

void FakeGuest::unshare() {
  for (const Part& part : parts_)
    if (::mmap(part.view, part.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, part.file.get(), 0) == MAP_FAILED)
      die("mmap");
}

std::uint64_t FakeGuest::allocate(std::size_t size, std::size_t alignment) {
  for (auto& part : parts_) {
    const std::size_t start = (part.used + alignment - 1) / alignment * alignment;
    if (start + size > part.size) continue;
    part.used = start + size;
    return part.guest + start;
  }
  die("fake guest: out of memory");
}

std::uint8_t* FakeGuest::at(std::uint64_t guest) const {
  for (const auto& part : parts_)
    if (guest - part.guest < part.size) return part.view + (guest - part.guest);
  die("fake guest: address outside memory");
}

memory::FrontEndAddress FakeGuest::front_end(std::uint64_t guest) const {
  return {reinterpret_cast<std::uint64_t>(at(guest))};
}

}  // namespace vhostx::test
