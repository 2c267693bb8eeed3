// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/stored_name.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/error.hpp"

namespace vhostx::systemd {
namespace {

constexpr std::string_view file_prefix = "vhostx-";
constexpr std::string_view index_prefix = "vhostx@";
constexpr std::size_t name_max = 255;  // FDNAME_MAX

bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
         c == '_' || c == '-';
}

/// The whole of `text` as a number, hexadecimal.
std::optional<std::uint32_t> number_of(std::string_view text) noexcept {
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

std::string encode(std::string_view bundle) {
  std::string text;
  for (const char c : bundle) {
    if (is_plain(c))
      text += c;
    else
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

/// Also of what encode() does not give.
std::string decode(std::string_view text) {
  std::string bundle;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' ? number_of(text.substr(i + 1, 2)) : std::nullopt;
    bundle += byte ? static_cast<char>(*byte) : text[i];
    if (byte) i += 2;
  }
  return bundle;
}

}  // namespace

std::string name_of_file(std::uint32_t number) { return fmt::format("{}{:x}", file_prefix, number); }

Result<std::string> name_of_index(std::string_view bundle) {
  std::string name = std::string(index_prefix) + encode(bundle);
  if (name.size() > name_max)
    return invalid_argument(
        "a socket path, or a state, whose name in systemd's store has {} characters ({}), expected at most {}: "
        "characters other "
        "than letters, digits and /._- count three times",
        name.size(), name, name_max);
  return name;
}

// Not by its beginning alone: the socket of a unit vhostx-switch.socket has that name.
bool is_name_of_ours(std::string_view name) noexcept {
  if (name.starts_with(index_prefix)) return true;
  return name.starts_with(file_prefix) && name.size() > file_prefix.size() &&
         name.find_first_not_of("0123456789abcdef", file_prefix.size()) == std::string_view::npos;
}

std::optional<std::uint32_t> file_of_name(std::string_view name) {
  if (!name.starts_with(file_prefix)) return std::nullopt;
  const auto number = number_of(name.substr(file_prefix.size()));
  if (!number || *number == 0 || name_of_file(*number) != name) return std::nullopt;
  return number;
}

std::optional<std::string> bundle_of_name(std::string_view name) {
  if (!name.starts_with(index_prefix)) return std::nullopt;
  std::string bundle = decode(name.substr(index_prefix.size()));
  const auto again = name_of_index(bundle);
  if (!again || *again != name) return std::nullopt;
  return bundle;
}

}  // namespace vhostx::systemd
