// SPDX-License-Identifier: BSD-3-Clause
// ExtraMemory: a memory slot beside the guest's own, whose file is the attacker's to do with as it likes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.hpp"
#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

inline constexpr std::uint64_t extra_guest = std::uint64_t{1} << 40;

/// The description of a slot, whose address is the same to guest and front-end.
protocol::MemoryRegion slot_at(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset = 0);
protocol::Message add_slot(const protocol::MemoryRegion& slot, UniqueFd fd);
protocol::Message remove_slot(const protocol::MemoryRegion& slot);

class ExtraMemory {
 public:
  /// Makes a sparse file, maps it here and adds it; the guest must have negotiated CONFIGURE_MEM_SLOTS. Throws Decided.
  ExtraMemory(Attacker& attacker, std::size_t bytes, std::uint64_t guest = extra_guest);
  ~ExtraMemory();
  ExtraMemory(const ExtraMemory&) = delete;
  ExtraMemory& operator=(const ExtraMemory&) = delete;

  template <typename T = std::uint8_t>
  T* at(std::size_t offset = 0) const noexcept {
    return reinterpret_cast<T*>(view_ + offset);
  }
  std::uint64_t guest(std::size_t offset = 0) const noexcept { return guest_ + offset; }
  std::size_t bytes() const noexcept { return bytes_; }
  int fd() const noexcept { return file_.get(); }
  /// Its pages are gone, and come back as zeros when they are touched.
  void punch(std::size_t offset, std::size_t bytes) const;

 private:
  UniqueFd file_;
  std::size_t bytes_;
  std::uint64_t guest_;
  std::uint8_t* view_ = nullptr;
};

/// Lets the back-end do what the attack has given it to do.
void let_it_work(unsigned milliseconds);

}  // namespace vhostx::hostile
