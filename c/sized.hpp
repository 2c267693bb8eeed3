// SPDX-License-Identifier: BSD-3-Clause
// Structs whose size in the program and in the library may differ, because they are of different versions: options,
// which begin with their size, and structs that the library fills in.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

#include <vhostx/result.hpp>

namespace vhostx::c {

/// No struct of ours gets that long: a larger size means that it was never set.
inline constexpr std::size_t struct_bytes_max = 4096;

/// A member that a later version adds must make the struct larger, so that its size shows who knows it. Therefore
/// padding at the end is a member `reserved`, which is 0.
template <typename T>
concept WithoutPadding = std::has_unique_object_representations_v<T>;

/// Writes as much of `value` as the caller's struct has room for. Members that only the caller knows become 0.
template <typename T>
void write_sized(const T& value, T* to, std::size_t size) noexcept {
  auto* const bytes = reinterpret_cast<unsigned char*>(to);
  std::memcpy(bytes, &value, std::min(size, sizeof(T)));
  if (size > sizeof(T)) std::memset(bytes + sizeof(T), 0, size - sizeof(T));
}

/// The same for options, which begin with their size.
template <WithoutPadding T>
void write_options(T value, T* to, std::size_t size) noexcept {
  value.size = size;
  write_sized(value, to, size);
}

/// Checks that the caller's struct has a valid size, and that no member is set that this library does not know.
Result<void> check_sized(const void* given, std::size_t ours, const char* name);

/// The caller's options in our struct: `defaults`, overwritten by all that both know. Null: the defaults. Errors:
/// invalid_argument (an invalid size), unsupported (a member is set that this library does not know).
template <WithoutPadding T>
Result<T> read_options(const T* given, T defaults, const char* name) {
  if (given == nullptr) return defaults;
  if (auto good = check_sized(given, sizeof(T), name); !good) return std::move(good).error();
  std::memcpy(&defaults, given, std::min(given->size, sizeof(T)));
  if (defaults.reserved != 0)
    return Error{ErrorCode::unsupported, std::string(name) + ".reserved: expected 0, as this library does not know it",
                 0};
  return defaults;
}

}  // namespace vhostx::c
