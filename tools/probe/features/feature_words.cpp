// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/features/feature_words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

using Names = std::span<const protocol::FeatureName>;

constexpr std::array<std::string_view, 7> prefixes{
    "VHOST_USER_PROTOCOL_F_", "VHOST_USER_F_", "VIRTIO_NET_F_", "VIRTIO_RING_F_", "VIRTIO_F_", "VHOST_F_", "NET_"};

std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  std::transform(capitals.begin(), capitals.end(), capitals.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  });
  return capitals;
}

std::string_view without_prefix(std::string_view name) {
  for (const auto prefix : prefixes)
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  return name;
}

std::optional<std::uint64_t> number_in(std::string_view text, int base, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::uint64_t all_of(Names names) {
  std::uint64_t bits = 0;
  for (const auto& name : names) bits |= std::uint64_t{1} << name.bit;
  return bits;
}

std::optional<std::uint64_t> bits_of_word(std::string_view word, Names names) {
  const std::string capitals = in_capitals(word);
  if (capitals == "ALL") return all_of(names);
  if (capitals == "NONE") return 0;
  if (capitals.starts_with("0X")) return number_in(word.substr(2), 16, UINT64_MAX);
  if (capitals.starts_with("BIT=")) {
    const auto bit = number_in(word.substr(4), 10, 63);
    return bit ? std::optional(std::uint64_t{1} << *bit) : std::nullopt;
  }
  for (const auto& name : names)
    if (capitals == name.name || without_prefix(capitals) == without_prefix(name.name))
      return std::uint64_t{1} << name.bit;
  return std::nullopt;
}

// The name that has the word in it, else the one with the longest common begin: a slip is most often at a word's end.
std::string_view nearest(std::string_view word, Names names) {
  const std::string capitals = in_capitals(word);
  const std::string_view wanted = without_prefix(capitals);
  const auto likeness = [wanted](const protocol::FeatureName& name) {
    if (!wanted.empty() && name.name.find(wanted) != std::string_view::npos) return std::ptrdiff_t{64};
    const auto other = without_prefix(name.name);
    return std::mismatch(wanted.begin(), wanted.end(), other.begin(), other.end()).first - wanted.begin();
  };
  return std::max_element(names.begin(), names.end(),
                          [&](const auto& a, const auto& b) { return likeness(a) < likeness(b); })
      ->name;
}

Result<std::uint64_t> parse(const std::string& text, std::uint64_t begin, Names names) {
  std::uint64_t bits = text.starts_with('+') || text.starts_with('-') ? begin : 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view word = std::string_view(text).substr(at, end - at);
    at = end + 1;
    const bool takes = word.starts_with('-');
    if (takes || word.starts_with('+')) word.remove_prefix(1);
    const auto found = bits_of_word(word, names);
    if (!found)
      return make_error(ErrorCode::invalid_argument,
                        "'{}' is not a feature: expected a name such as {}, a mask such as 0x8000, bit=N, all, or none",
                        word, nearest(word, names));
    bits = takes ? bits & ~*found : bits | *found;
  }
  return bits;
}

}  // namespace

Result<protocol::FeatureSet> parse_features(const std::string& text, protocol::FeatureSet begin) {
  const auto bits = parse(text, begin.bits(), protocol::virtio_feature_names());
  if (!bits) return bits.error();
  return protocol::FeatureSet(*bits);
}

Result<protocol::ProtocolFeatureSet> parse_protocol_features(const std::string& text,
                                                             protocol::ProtocolFeatureSet begin) {
  const auto bits = parse(text, begin.bits(), protocol::protocol_feature_names());
  if (!bits) return bits.error();
  return protocol::ProtocolFeatureSet(*bits);
}

}  // namespace vhostx::tools::probe
