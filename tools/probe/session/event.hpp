// SPDX-License-Identifier: BSD-3-Clause
// Event: one thing that happened between a front-end and a back-end, as it was seen between them. What was seen and
// nothing that was concluded: Session concludes, so that a record can be read again by a later version that knows more.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"

namespace vhostx::tools::probe {

/// What a descriptor is, from fstat(2), /proc/self/fd, fcntl(2).
struct FdFacts {
  std::string kind;              ///< "memfd", "hugetlbfs", "tmpfs", "file", "eventfd", "socket", "pipe", "other"
  std::string name;              ///< What /proc/self/fd says, e.g. "/memfd:pc.ram (deleted)".
  std::uint64_t bytes = 0;       ///< Of a file.
  std::uint64_t page_bytes = 0;  ///< Of a file that is memory: those that the kernel maps it with.
  std::uint64_t inode = 0;       ///< The same file twice has the same device and inode.
  std::uint64_t device = 0;
  std::vector<std::string> seals;  ///< "seal", "shrink", "grow", "write", "future-write"; of what can be sealed.

  friend bool operator==(const FdFacts&, const FdFacts&) = default;
};

enum class EventKind : std::uint8_t {
  opened,   ///< A front-end and a back-end are connected.
  message,  ///< One went from one to the other.
  closed,   ///< The connection has ended; `text` says how.
  note,     ///< What the observer has to say of itself, e.g. that memory could not be looked at.
};

/// A process at an end of a connection (SO_PEERCRED); pid 0: not known.
struct Peer {
  int pid = 0;
  std::string program;  ///< Its name as the kernel has it.

  friend bool operator==(const Peer&, const Peer&) = default;
};

struct Event {
  EventKind kind = EventKind::message;
  std::chrono::nanoseconds time{};  ///< Since the observation began, by the monotonic clock.
  std::uint32_t connection = 1;     ///< Counts from 1.

  // ---- message
  protocol::Incoming way = protocol::Incoming::front_end_requests;
  protocol::Header header;
  std::vector<std::byte>
      payload;  ///< Its first protocol::payload_bytes_max bytes; header.size says how many there were.
  std::vector<FdFacts> fds;
  /// The message was cut off by the end of the connection: `payload` is what came.
  bool cut_off = false;

  // ---- opened
  Peer front_end;
  Peer back_end;

  // ---- closed, note
  std::string text;
};

/// "front_end_requests" and so on, as they stand in records; none for other words.
const char* name_of(protocol::Incoming way) noexcept;
std::optional<protocol::Incoming> way_named(const std::string& name) noexcept;

const char* name_of(EventKind kind) noexcept;
std::optional<EventKind> kind_named(const std::string& name) noexcept;

/// The event's message, as far as it came; in place of its descriptors, at most protocol::fds_max, empty ones.
protocol::Message message_of(const Event& event);

}  // namespace vhostx::tools::probe
