// SPDX-License-Identifier: BSD-3-Clause
// LogFile: the dirty log of a guest that migrates, as its front-end has it.
#pragma once

#include <cstdint>
#include <set>
#include <stdexcept>
#include <unistd.h>

#include <sys/mman.h>

#include "base/unique_fd.hpp"

namespace vhostx::test {

/// In a file of its own.
class LogFile {
 public:
  static constexpr std::uint64_t page = 4096;

  explicit LogFile(std::uint64_t bytes) : bytes_((bytes + 7) / 8 * 8), file_(::memfd_create("test-log", MFD_CLOEXEC)) {
    if (::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) throw std::runtime_error("ftruncate");
    bits_ = static_cast<std::uint8_t*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
    if (bits_ == MAP_FAILED) throw std::runtime_error("mmap");
  }
  ~LogFile() { ::munmap(bits_, bytes_); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  int fd() const { return file_.get(); }
  std::uint64_t bytes() const { return bytes_; }
  /// Takes all marks away, word by word as QEMU does, and returns the pages.
  std::set<std::uint64_t> take() {
    std::set<std::uint64_t> pages;
    auto* const words = reinterpret_cast<std::uint64_t*>(bits_);
    for (std::uint64_t i = 0; i < bytes_ / 8; ++i) {
      if (__atomic_load_n(words + i, __ATOMIC_RELAXED) == 0) continue;
      const std::uint64_t marks = __atomic_exchange_n(words + i, std::uint64_t{0}, __ATOMIC_ACQ_REL);
      for (unsigned bit = 0; bit < 64; ++bit)
        if ((marks >> bit & 1) != 0) pages.insert(i * 64 + bit);
    }
    return pages;
  }
  bool is_marked(std::uint64_t guest) const {
    return (__atomic_load_n(bits_ + guest / page / 8, __ATOMIC_ACQUIRE) >> (guest / page % 8) & 1) != 0;
  }

 private:
  std::uint64_t bytes_;
  UniqueFd file_;
  std::uint8_t* bits_;
};

}  // namespace vhostx::test
