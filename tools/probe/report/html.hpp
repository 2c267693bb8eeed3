// SPDX-License-Identifier: BSD-3-Clause
// HTML that is safe by its type: what is a string is escaped where it is added, what is Html was written here. Records
// are hostile, and a program may be called "</style><img src=...>".
#pragma once

#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace vhostx::tools::probe {

/// Text that is HTML already.
struct Html {
  std::string text;

  Html& operator+=(const Html& other) {
    text += other.text;
    return *this;
  }
};

/// For element content and for attributes in quotes, of HTML and of SVG. Bytes that are no UTF-8, control characters,
/// and those that turn the direction of what follows become U+FFFD.
std::string escaped(std::string_view text);

/// The first `bytes_max` bytes or fewer, never half a character, with "…" where something was left out.
std::string shortened(std::string_view text, std::size_t bytes_max);

/// "1 message", "2 messages".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

/// "256 MiB" where that is exact and short, else "≈2.00 GiB".
std::string text_of_about(std::uint64_t bytes);

/// What stands in the page for a value.
inline const std::string& safe(const Html& value) { return value.text; }
inline std::string safe(std::string_view value) { return escaped(value); }
inline std::string safe(const std::string& value) { return escaped(value); }
inline std::string safe(const char* value) { return escaped(value); }
template <typename Number, typename = std::enable_if_t<std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>>>
Number safe(Number value) {
  return value;
}

template <typename T>
using Safe = std::remove_cvref_t<decltype(safe(std::declval<const T&>()))>;

/// Adds to `out` what `format` says; its text is HTML, and its values are made safe.
template <typename... Ts>
void add(Html& out, fmt::format_string<const Safe<Ts>&...> format, const Ts&... values) {
  fmt::format_to(std::back_inserter(out.text), format, static_cast<const Safe<Ts>&>(safe(values))...);
}

template <typename... Ts>
Html html(fmt::format_string<const Safe<Ts>&...> format, const Ts&... values) {
  Html out;
  add(out, format, values...);
  return out;
}

}  // namespace vhostx::tools::probe
