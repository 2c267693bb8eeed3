// SPDX-License-Identifier: BSD-3-Clause
// Dict: an answer before it is converted for DPDK, so that it can be measured, cut and tested.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vhostx::telemetry {

struct DictEntry;

/// Keeps the order of entries. Names consist of letters, digits, '_' and '/': DPDK accepts no others.
class Dict {
 public:
  template <typename T>
  Dict& add(std::string name, T value);

  const std::vector<DictEntry>& entries() const noexcept { return entries_; }
  /// Null: there is no entry of this name.
  const DictEntry* find(std::string_view name) const noexcept;
  /// Bytes as JSON, at most.
  std::size_t json_bytes() const noexcept;

 private:
  std::vector<DictEntry> entries_;
};

using Value = std::variant<int, std::uint64_t, std::string, std::vector<std::string>, Dict>;

struct DictEntry {
  std::string name;
  Value value;
};

/// Bytes as JSON, at most.
std::size_t json_bytes(const std::string& text) noexcept;
std::size_t json_bytes(const DictEntry& entry) noexcept;

template <typename T>
Dict& Dict::add(std::string name, T value) {
  if constexpr (std::is_same_v<T, bool> || (std::is_integral_v<T> && std::is_signed_v<T>)) {
    entries_.push_back({std::move(name), static_cast<int>(value)});
  } else if constexpr (std::is_integral_v<T>) {
    entries_.push_back({std::move(name), static_cast<std::uint64_t>(value)});
  } else {
    entries_.push_back({std::move(name), Value(std::move(value))});
  }
  return *this;
}

}  // namespace vhostx::telemetry
