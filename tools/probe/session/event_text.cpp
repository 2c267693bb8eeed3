// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/event_text.hpp"

#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>

namespace vhostx::tools::probe {
namespace {

const char* arrow_of(const Event& event) noexcept {
  if (event.kind != EventKind::message) return "";
  switch (event.way) {
    case protocol::Incoming::front_end_requests:
      return ">";
    case protocol::Incoming::replies_to_front_end:
      return "<";
    case protocol::Incoming::back_end_requests:
      return "<<";
    case protocol::Incoming::replies_to_back_end:
      return ">>";
  }
  return "";
}

std::string text_of(const Finding& finding, const TextStyle& style) {
  const bool violation = finding.weight == Finding::Weight::violation;
  return fmt::format("{:>24} {}{}: {}{} {}[{}]{}\n", "!", violation ? style.violation() : style.remark(),
                     violation ? "violation" : "remark", printable(finding.text), style.plain(), style.faint(),
                     finding.section, style.plain());
}

}  // namespace

TextStyle style_of_output() {
  const char* const no_colour = std::getenv("NO_COLOR");
  return {::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0')};
}

std::string printable(std::string text) {
  for (char& byte : text)
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) byte = '?';
  return text;
}

std::string text_of(std::chrono::nanoseconds time) {
  const auto count = static_cast<double>(time.count());
  if (count < 1e6) return fmt::format("{:.0f} us", count / 1e3);
  if (count < 1e9) return fmt::format("{:.3g} ms", count / 1e6);
  return fmt::format("{:.4g} s", count / 1e9);
}

std::string text_of(const Event& event, const Decoded& decoded, const TextStyle& style) {
  const bool message = event.kind == EventKind::message;
  const std::string what =
      message ? printable(decoded.text) : fmt::format("{}: {}", name_of(event.kind), printable(decoded.text));
  std::string text =
      fmt::format("{}{:>12.6f}{} #{} {:>5} {:<2} {}", style.faint(), static_cast<double>(event.time.count()) / 1e9,
                  style.plain(), event.connection, decoded.number, arrow_of(event), what);
  if (decoded.answers && decoded.round_trip)
    text += fmt::format(" {}(to {} after {}){}", style.faint(), *decoded.answers, text_of(*decoded.round_trip),
                        style.plain());
  text += '\n';
  for (const Finding& finding : decoded.findings) text += text_of(finding, style);
  return text;
}

}  // namespace vhostx::tools::probe
