// SPDX-License-Identifier: BSD-3-Clause
// The only way to read a number that decisions depend on out of guest memory.
#pragma once

#include <cstdint>
#include <type_traits>

#include "memory/load_hook.hpp"

namespace vhostx::memory {

/// A copy of the T at `shared`, which may be unaligned. The guest may be writing it at this moment: the volatile access
/// keeps the compiler from reading it a second time (CVE-2020-14375), so what was checked is what is used.
template <typename T>
T load_once(const std::uint8_t* shared) noexcept {
  static_assert(std::is_unsigned_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  struct __attribute__((packed, may_alias)) Word {
    T value;
  };
  const T value = reinterpret_cast<const volatile Word*>(shared)->value;
  loaded(shared, sizeof value);
  return value;
}

}  // namespace vhostx::memory
