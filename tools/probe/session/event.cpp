// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/event.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace vhostx::tools::probe {
namespace {

using protocol::Incoming;

constexpr std::array<std::pair<Incoming, const char*>, 4> ways{{
    {Incoming::front_end_requests, "front_end_requests"},
    {Incoming::replies_to_front_end, "replies_to_front_end"},
    {Incoming::back_end_requests, "back_end_requests"},
    {Incoming::replies_to_back_end, "replies_to_back_end"},
}};

constexpr std::array<std::pair<EventKind, const char*>, 4> kinds{{
    {EventKind::opened, "opened"},
    {EventKind::message, "message"},
    {EventKind::closed, "closed"},
    {EventKind::note, "note"},
}};

template <typename Table, typename Key>
const char* name_in(const Table& table, Key key) noexcept {
  const auto at = std::find_if(table.begin(), table.end(), [key](const auto& row) { return row.first == key; });
  return at == table.end() ? "" : at->second;
}

template <typename Key, typename Table>
std::optional<Key> key_in(const Table& table, const std::string& name) noexcept {
  const auto at = std::find_if(table.begin(), table.end(), [&name](const auto& row) { return name == row.second; });
  return at == table.end() ? std::nullopt : std::optional<Key>(at->first);
}

}  // namespace

const char* name_of(Incoming way) noexcept { return name_in(ways, way); }
std::optional<Incoming> way_named(const std::string& name) noexcept { return key_in<Incoming>(ways, name); }
const char* name_of(EventKind kind) noexcept { return name_in(kinds, kind); }
std::optional<EventKind> kind_named(const std::string& name) noexcept { return key_in<EventKind>(kinds, name); }

protocol::Message message_of(const Event& event) {
  protocol::Header header = event.header;
  header.size = static_cast<std::uint32_t>(std::min(event.payload.size(), protocol::payload_bytes_max));
  auto message = protocol::make_message(header, std::span(event.payload).first(header.size));
  for (std::size_t i = 0; i < std::min(event.fds.size(), protocol::fds_max); ++i) message.add_fd(UniqueFd());
  return message;
}

}  // namespace vhostx::tools::probe
