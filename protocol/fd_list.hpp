// SPDX-License-Identifier: BSD-3-Clause
// FdList: the descriptors of one message, owned.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <span>
#include <utility>

#include "base/unique_fd.hpp"

namespace vhostx::protocol {

/// vhost-user: SET_MEM_TABLE brings the most, one a region; "Back-end communication" has the same bound.
inline constexpr std::size_t fds_max = 8;

class FdList {
 public:
  FdList() noexcept = default;
  FdList(FdList&& other) noexcept : count_(std::exchange(other.count_, 0)), fds_(std::move(other.fds_)) {}
  FdList& operator=(FdList&& other) noexcept {
    if (this == &other) return *this;
    fds_ = std::move(other.fds_);
    count_ = std::exchange(other.count_, 0);
    return *this;
  }

  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  /// False: the list is full, and `fd` was released.
  bool add(UniqueFd fd) noexcept {
    if (count_ == fds_max) return false;
    fds_[count_++] = std::move(fd);
    return true;
  }
  /// The descriptor at `index` (below size(), asserted); the list keeps it. -1: it was taken.
  int get(std::size_t index) const noexcept {
    assert(index < count_);
    return fds_[index].get();
  }
  /// The descriptor at `index`, which the caller then owns; empty if there is none or it was taken. size() does not
  /// change.
  UniqueFd take(std::size_t index) noexcept { return index < count_ ? std::move(fds_[index]) : UniqueFd(); }
  void clear() noexcept { *this = FdList(); }
  operator std::span<const UniqueFd>() const noexcept { return {fds_.data(), count_}; }

 private:
  std::size_t count_ = 0;
  std::array<UniqueFd, fds_max> fds_;
};

}  // namespace vhostx::protocol
