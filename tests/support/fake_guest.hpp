// SPDX-License-Identifier: BSD-3-Clause
// FakeGuest: guest memory as a front-end has it, in memfds, for tests, benches and fuzzers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "memory/guest_memory.hpp"

namespace vhostx::test {

class FakeGuest {
 public:
  struct Region {
    std::uint64_t guest = 0;
    std::size_t size = 0;
  };

  explicit FakeGuest(const std::vector<Region>& regions = {{0x4000'0000, std::size_t{16} << 20}});
  ~FakeGuest();
  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;

  /// The back-end's view: mapped a second time, as by SET_MEM_TABLE.
  std::shared_ptr<const memory::GuestMemory> map() const;

  std::size_t region_count() const { return parts_.size(); }
  memory::RegionDescription description(std::size_t region) const;
  /// A new descriptor of the region's file.
  UniqueFd file(std::size_t region) const;

  /// From now on the guest writes to pages of its own, as QEMU's does with share=off.
  void unshare();

  /// Fresh zeroed memory from the first region with room, aligned to `alignment`. Aborts the test when there is none.
  std::uint64_t allocate(std::size_t size, std::size_t alignment = 1);
  /// Bytes from the begin of the region that were allocated.
  std::size_t allocated(std::size_t region) const { return parts_[region].used; }
  /// The driver's pointer to a guest address. Aborts the test when it is outside.
  std::uint8_t* at(std::uint64_t guest) const;
  /// What SET_VRING_ADDR holds for a guest address.
  memory::FrontEndAddress front_end(std::uint64_t guest) const;

  template <typename T>
  T* at_as(std::uint64_t guest) const {
    return reinterpret_cast<T*>(at(guest));
  }

 private:
  struct Part {
    std::uint64_t guest;
    std::size_t size;
    std::size_t used;
    UniqueFd file;
    std::uint8_t* view;
  };
  std::vector<Part> parts_;
};

}  // namespace vhostx::test
