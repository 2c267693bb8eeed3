// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/dict.hpp"

#include <algorithm>

namespace vhostx::telemetry {
namespace {

struct Bytes {
  std::size_t operator()(int) const noexcept { return 11; }
  std::size_t operator()(std::uint64_t) const noexcept { return 20; }
  std::size_t operator()(const std::string& text) const noexcept { return json_bytes(text); }
  std::size_t operator()(const Dict& dict) const noexcept { return dict.json_bytes(); }
  std::size_t operator()(const std::vector<std::string>& list) const noexcept {
    std::size_t sum = 2;
    for (const auto& text : list) sum += json_bytes(text) + 1;
    return sum;
  }
};

}  // namespace

const DictEntry* Dict::find(std::string_view name) const noexcept {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.name == name; });
  return at == entries_.end() ? nullptr : &*at;
}

std::size_t Dict::json_bytes() const noexcept {
  std::size_t sum = 2;
  for (const auto& entry : entries_) sum += telemetry::json_bytes(entry) + 1;
  return sum;
}

std::size_t json_bytes(const std::string& text) noexcept {
  const auto escaped = std::count_if(text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || c < ' '; });
  return text.size() + static_cast<std::size_t>(escaped) + 2;
}

std::size_t json_bytes(const DictEntry& entry) noexcept {
  return json_bytes(entry.name) + 1 + std::visit(Bytes{}, entry.value);
}

}  // namespace vhostx::telemetry
