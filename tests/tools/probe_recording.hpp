// SPDX-License-Identifier: BSD-3-Clause
// Events of sessions as tests want them, and records of them.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "protocol/codec.hpp"
#include "tools/probe/session/record.hpp"

namespace vhostx::test {

/// `recording.open().request(...).reply(...)`; each event comes 10 µs after the one before.
class Recording {
 public:
  using Incoming = protocol::Incoming;
  using Request = protocol::FrontEndRequest;
  using Event = tools::probe::Event;
  using FdFacts = tools::probe::FdFacts;

  Recording& connection(std::uint32_t number) {
    connection_ = number;
    return *this;
  }
  Recording& wait(std::chrono::nanoseconds time) {
    time_ += time;
    return *this;
  }
  Recording& open(const std::string& front_end = "qemu", const std::string& back_end = "switch") {
    Event& event = add(tools::probe::EventKind::opened);
    event.front_end = {11, front_end};
    event.back_end = {12, back_end};
    return *this;
  }
  Recording& close(const std::string& how = "the front-end closed it") {
    add(tools::probe::EventKind::closed).text = how;
    return *this;
  }
  Recording& note(const std::string& text) {
    add(tools::probe::EventKind::note).text = text;
    return *this;
  }
  Recording& message(Incoming way, std::uint32_t request, std::span<const std::byte> payload = {},
                     std::vector<FdFacts> fds = {}, std::uint32_t flags = 0) {
    Event& event = add(tools::probe::EventKind::message);
    event.way = way;
    event.header = {request, protocol::Header::version_1 | flags, static_cast<std::uint32_t>(payload.size())};
    if (protocol::is_reply(way)) event.header.flags |= protocol::Header::reply;
    event.payload.assign(payload.begin(), payload.end());
    event.fds = std::move(fds);
    return *this;
  }
  Recording& request(Request request, std::vector<FdFacts> fds = {}) {
    return message(Incoming::front_end_requests, static_cast<std::uint32_t>(request), {}, std::move(fds));
  }
  template <protocol::Payload T>
  Recording& request(Request request, const T& payload, std::vector<FdFacts> fds = {}, std::uint32_t flags = 0) {
    return message(Incoming::front_end_requests, static_cast<std::uint32_t>(request),
                   std::as_bytes(std::span(&payload, 1)), std::move(fds), flags);
  }
  template <protocol::Payload T>
  Recording& reply(Request request, const T& payload) {
    return message(Incoming::replies_to_front_end, static_cast<std::uint32_t>(request),
                   std::as_bytes(std::span(&payload, 1)));
  }
  /// GET_FEATURES to SET_PROTOCOL_FEATURES; all that is offered is chosen.
  Recording& negotiate(std::uint64_t features, std::uint64_t protocol_features) {
    request(Request::get_features).reply(Request::get_features, protocol::U64{features});
    request(Request::get_protocol_features).reply(Request::get_protocol_features, protocol::U64{protocol_features});
    request(Request::set_protocol_features, protocol::U64{protocol_features});
    return request(Request::set_owner).request(Request::set_features, protocol::U64{features});
  }
  Recording& memory(std::span<const protocol::MemoryRegion> regions) {
    const auto message_of_table = protocol::make_memory_table(regions);
    return message(Incoming::front_end_requests, message_of_table.request(), message_of_table.payload(),
                   std::vector<FdFacts>(regions.size(), memory_file()));
  }
  /// A split ring whose areas follow each other from `address` on.
  Recording& ring(std::uint32_t index, std::uint32_t size, std::uint64_t address) {
    const std::uint64_t available = address + 16 * size;
    const std::uint64_t used = (available + 6 + 2 * size + 63) / 64 * 64;
    request(Request::set_vring_num, protocol::VringState{index, size});
    request(Request::set_vring_base, protocol::VringState{index, 0});
    request(Request::set_vring_addr, protocol::VringAddress{index, 0, address, used, available, 0});
    request(Request::set_vring_kick, protocol::U64{index}, {event_fd()});
    request(Request::set_vring_call, protocol::U64{index}, {event_fd()});
    return request(Request::set_vring_enable, protocol::VringState{index, 1});
  }
  Recording& stop_ring(std::uint32_t index) {
    request(Request::get_vring_base, protocol::VringState{index, 0});
    return reply(Request::get_vring_base, protocol::VringState{index, 7});
  }

  static FdFacts event_fd() { return {"eventfd", "anon_inode:[eventfd]", 0, 0, 9, 1, {}}; }
  static FdFacts memory_file() {
    return {"memfd", "/memfd:pc.ram (deleted)", std::uint64_t{1} << 40, 4096, 17, 1, {"shrink", "grow", "seal"}};
  }

  const std::vector<Event>& events() const noexcept { return events_; }
  /// As a file has it.
  std::string text() const {
    std::string text = line_of(tools::probe::RecordHeader{"2026-01-01T00:00:00Z", "vhostx-probe test", "/a", "/b"});
    for (const Event& event : events_) text += line_of(event);
    return text;
  }

 private:
  Event& add(tools::probe::EventKind kind) {
    time_ += std::chrono::microseconds(10);
    Event& event = events_.emplace_back();
    event.kind = kind;
    event.time = time_;
    event.connection = connection_;
    return event;
  }

  std::vector<Event> events_;
  std::chrono::nanoseconds time_{};
  std::uint32_t connection_ = 1;
};

}  // namespace vhostx::test
