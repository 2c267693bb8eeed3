// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/log_sample.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::tools::probe {
namespace {

std::optional<std::uint64_t> count_marked(const GuestMemory& log, std::uint64_t bytes) {
  if (bytes > counted_log_bytes_max) return std::nullopt;
  std::array<std::byte, 16384> piece;
  std::uint64_t marked = 0;
  for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
    const auto part = std::span(piece).first(std::min<std::size_t>(piece.size(), bytes - at));
    if (!log.read(at, part)) return std::nullopt;
    for (const std::byte one : part) marked += static_cast<unsigned>(std::popcount(std::to_integer<unsigned>(one)));
  }
  return marked;
}

}  // namespace

std::optional<LogRow> sample_log(const ConnectionFacts& connection, const GuestMemory* log) {
  LogRow row{.connection = connection.connection,
             .on = connection.features.has(protocol::VirtioFeature::vhost_log_all)};
  if (!row.on && !connection.log) return std::nullopt;
  if (!connection.log) return row;
  row.size = connection.log->size;
  row.offset = connection.log->offset;
  if (log != nullptr) row.marked_pages = count_marked(*log, connection.log->size);
  return row;
}

std::string text_of(const LogRow& log) {
  std::string text = log.on ? "on" : "off";
  if (log.size) text += fmt::format(", {} at offset {:#x}", text_of_bytes(*log.size), log.offset.value_or(0));
  if (log.marked_pages)
    return text + fmt::format(", {} {} marked", *log.marked_pages, *log.marked_pages == 1 ? "page" : "pages");
  return log.size ? text + ", which cannot be read" : text;
}

}  // namespace vhostx::tools::probe
