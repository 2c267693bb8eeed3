// SPDX-License-Identifier: BSD-3-Clause
// RingFile: rings laid out by hand in a memfd, as a guest's memory would be.
#pragma once

#include <cstdint>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/unique_fd.hpp"
#include "tools/probe/rings/guest_memory.hpp"
#include "tools/probe/rings/ring_sample.hpp"

namespace vhostx::test {

/// The file's first byte is at this front-end address.
inline constexpr std::uint64_t ring_file_address = 0x7f00'0000'0000;

class RingFile {
 public:
  static constexpr std::uint64_t bytes = 1 << 20;
  static constexpr std::uint64_t descriptor_at = 0;
  static constexpr std::uint64_t available_at = 0x90000;
  static constexpr std::uint64_t used_at = 0xb0000;

  explicit RingFile(std::uint32_t ring_size = 256)
      : size_(ring_size), fd_(::memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (!fd_ || ::ftruncate(fd_.get(), bytes) != 0) throw std::runtime_error("memfd");
  }

  int fd() const noexcept { return fd_.get(); }
  UniqueFd duplicate() const { return UniqueFd(::fcntl(fd(), F_DUPFD_CLOEXEC, 0)); }
  std::uint32_t size() const noexcept { return size_; }

  template <typename T>
  RingFile& put(std::uint64_t offset, T value) {
    if (::pwrite(fd(), &value, sizeof value, static_cast<off_t>(offset)) != sizeof value)
      throw std::runtime_error("pwrite");
    return *this;
  }
  RingFile& available(std::uint16_t index, std::uint16_t flags = 0) {
    return put(available_at, flags).put(available_at + 2, index);
  }
  RingFile& used(std::uint16_t index, std::uint16_t flags = 0) { return put(used_at, flags).put(used_at + 2, index); }
  RingFile& used_event(std::uint16_t index) { return put(available_at + 4 + 2 * size_, index); }
  RingFile& avail_event(std::uint16_t index) { return put(used_at + 4 + 8 * size_, index); }
  /// A packed ring's: AVAIL is bit 7, USED bit 15.
  RingFile& packed(std::uint32_t slot, bool is_available, bool is_used) {
    return put(descriptor_at + 16 * slot + 14,
               static_cast<std::uint16_t>((is_available ? 0x80 : 0) | (is_used ? 0x8000 : 0)));
  }

  tools::probe::RingAddresses addresses() const {
    return {ring_file_address + descriptor_at, ring_file_address + available_at, ring_file_address + used_at};
  }
  tools::probe::RingPlace place(bool is_packed = false, bool event_index = false) const {
    return {size_, addresses(), is_packed, event_index};
  }
  tools::probe::RegionMemory memory() const { return memory_by(fd()); }
  /// Read through another descriptor.
  static tools::probe::RegionMemory memory_by(int fd) {
    return tools::probe::RegionMemory({{ring_file_address, bytes, 0, fd}});
  }

 private:
  std::uint32_t size_;
  UniqueFd fd_;
};

}  // namespace vhostx::test
