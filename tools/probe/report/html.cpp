// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/html.hpp"

#include <cstdint>
#include <iterator>

#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

/// A character of UTF-8 (RFC 3629): 0 bytes where there is none.
struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;
};

std::uint8_t byte_at(std::string_view text, std::size_t at) noexcept {
  return at < text.size() ? static_cast<std::uint8_t>(text[at]) : std::uint8_t{0};
}

std::size_t length_of(std::uint8_t first) noexcept {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

Character character_at(std::string_view text, std::size_t at) noexcept {
  constexpr std::uint32_t first_masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const std::size_t length = length_of(byte_at(text, at));
  std::uint32_t code = byte_at(text, at) & first_masks[length];
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t byte = byte_at(text, at + i);
    if ((byte & 0xc0) != 0x80) return {};
    code = code << 6 | (byte & 0x3fu);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (length == 0 || code < least[length] || surrogate || code > 0x10ffff) return {};
  return {code, length};
}

// Controls of both kinds; marks and embeddings that turn text round (Unicode 15, 3.12), which would let a name look
// like another; and what is no character at all.
bool is_harmful(std::uint32_t code) noexcept {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || (code & 0xfffe) == 0xfffe;
}

std::string_view reference_to(std::uint32_t code) noexcept {
  switch (code) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto [code, bytes] = character_at(text, at);
    if (bytes == 0 || is_harmful(code))
      out += replacement;
    else if (const auto reference = reference_to(code); !reference.empty())
      out += reference;
    else
      out += text.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  while (end > 0 && (byte_at(text, end) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string text_of_about(std::uint64_t bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1024;
  if (const std::string exact = text_of_bytes(bytes); exact.size() <= std::string_view("9999 bytes").size())
    return exact;
  return fmt::format("≈{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, units[unit]);
}

}  // namespace vhostx::tools::probe
