// SPDX-License-Identifier: BSD-3-Clause
// The three address spaces of a vhost-user back-end, as three types that do not convert into each other.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace vhostx::memory {

/// Guest physical address: what descriptors hold.
struct GuestAddress {
  std::uint64_t value = 0;
  friend auto operator<=>(GuestAddress, GuestAddress) = default;
};

/// Address in the front-end's process ("user address" in the specification): what SET_VRING_ADDR holds. With
/// GPA_ADDRESSES the front-end uses guest addresses instead, and each region's front-end address is its guest address.
struct FrontEndAddress {
  std::uint64_t value = 0;
  friend auto operator<=>(FrontEndAddress, FrontEndAddress) = default;
};

/// Bytes of guest memory in our own address space, to read (to write: WritableSpan). Only GuestMemory turns a number
/// that a peer wrote into one.
struct HostSpan {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;

  explicit operator bool() const noexcept { return data != nullptr; }
};

/// For mbufs and system calls, which know no const.
inline void* unqualified(const std::uint8_t* bytes) noexcept { return const_cast<std::uint8_t*>(bytes); }

}  // namespace vhostx::memory
