// SPDX-License-Identifier: BSD-3-Clause
// Events, and sockets, as tests make them.
#pragma once

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include "base/unique_fd.hpp"
#include "tools/probe/session/event.hpp"

namespace vhostx::test {

inline std::array<UniqueFd, 2> socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct Nothing {};

inline std::vector<std::byte> bytes_of(Nothing) { return {}; }
template <protocol::Payload T>
std::vector<std::byte> bytes_of(const T& payload) {
  std::vector<std::byte> bytes(sizeof payload);
  std::memcpy(bytes.data(), &payload, sizeof payload);
  return bytes;
}

inline tools::probe::FdFacts fd_of_kind(const char* kind) {
  tools::probe::FdFacts facts;
  facts.kind = kind;
  return facts;
}
inline tools::probe::FdFacts eventfd() { return fd_of_kind("eventfd"); }
inline tools::probe::FdFacts pipe_fd() { return fd_of_kind("pipe"); }
inline tools::probe::FdFacts memfd(std::uint64_t bytes) {
  auto facts = fd_of_kind("memfd");
  facts.name = "/memfd:guest (deleted)";
  facts.bytes = bytes;
  facts.page_bytes = 4096;
  facts.device = 1;
  facts.inode = 4711;
  facts.seals = {"shrink", "grow"};
  return facts;
}

inline tools::probe::Event message_event(protocol::Incoming way, std::uint32_t request, std::vector<std::byte> payload,
                                         std::vector<tools::probe::FdFacts> fds = {}, std::uint32_t flags = 0) {
  tools::probe::Event event;
  event.way = way;
  event.header = {request, protocol::Header::version_1 | flags, static_cast<std::uint32_t>(payload.size())};
  event.payload = std::move(payload);
  event.fds = std::move(fds);
  return event;
}

}  // namespace vhostx::test
