// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/handlers.hpp"

#include <array>
#include <memory>
#include <utility>

#include "base/error.hpp"
#include "base/event_fd.hpp"
#include "protocol/codec.hpp"
#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"

namespace vhostx::backend {
namespace {

using protocol::FrontEndRequest;
using protocol::Message;
using protocol::U64;
using protocol::VringState;

Result<Reply> done(Result<void> result) {
  if (!result) return std::move(result).error();
  return Reply{};
}

Result<Reply> number(const Message& request, std::uint64_t value) {
  return Reply{protocol::make_reply(request.header(), U64{value})};
}

// The lengths of payloads were checked against the row before a handler is called.
std::uint64_t u64_of(const Message& message) noexcept { return message.payload_padded_as<U64>().value; }

Result<Reply> get_features(Device& device, Message& m) { return number(m, device.features_offered().bits()); }
Result<Reply> set_features(Device& device, Message& m) {
  return done(device.set_features(protocol::FeatureSet(u64_of(m))));
}
Result<Reply> get_protocol_features(Device& device, Message& m) {
  return number(m, device.protocol_features_offered().bits());
}
Result<Reply> set_protocol_features(Device& device, Message& m) {
  return done(device.set_protocol_features(protocol::ProtocolFeatureSet(u64_of(m))));
}
Result<Reply> get_queue_num(Device& device, Message& m) { return number(m, device.parts().options.queue_pairs_max); }

Result<Reply> set_owner(Device& device, Message&) {
  device.set_owner();
  return Reply{};
}
// "Deprecated ... either ignore this message, or use it to disable all rings."
Result<Reply> reset_owner(Device& device, Message&) {
  device.disable_rings();
  return Reply{};
}
Result<Reply> reset_device(Device& device, Message&) {
  device.reset();
  return Reply{};
}

Result<Reply> set_mem_table(Device& device, Message& m) { return done(device.change_memory(&MemoryTable::set, m)); }
Result<Reply> add_mem_reg(Device& device, Message& m) { return done(device.change_memory(&MemoryTable::add, m)); }
Result<Reply> rem_mem_reg(Device& device, Message& m) { return done(device.change_memory(&MemoryTable::remove, m)); }
Result<Reply> get_max_mem_slots(Device& device, Message& m) {
  return number(m, device.parts().options.memory_slots_max);
}

template <typename Change>
Result<Reply> with_ring(Device& device, Message& m, Change change) {
  const auto state = m.payload_padded_as<VringState>();
  const auto ring = device.ring(state.index);
  if (!ring) return ring.error();
  return change(**ring, state.num);
}

Result<Reply> set_vring_num(Device& device, Message& m) {
  return with_ring(device, m, [](RingControl& ring, std::uint32_t num) { return done(ring.set_size(num)); });
}
Result<Reply> set_vring_base(Device& device, Message& m) {
  return with_ring(device, m, [](RingControl& ring, std::uint32_t num) { return done(ring.set_base(num)); });
}
Result<Reply> get_vring_base(Device& device, Message& m) {
  return with_ring(device, m, [&m](RingControl& ring, std::uint32_t) -> Result<Reply> {
    const auto index = m.payload_padded_as<VringState>().index;
    return Reply{protocol::make_reply(m.header(), VringState{index, ring.stop()})};
  });
}
Result<Reply> set_vring_enable(Device& device, Message& m) {
  return with_ring(device, m, [](RingControl& ring, std::uint32_t num) -> Result<Reply> {
    if (num > 1) return make_error(ErrorCode::protocol_violation, "SET_VRING_ENABLE {}: expected 0 or 1", num);
    ring.enable(num == 1);
    return Reply{};
  });
}
Result<Reply> vring_kick(Device& device, Message& m) {
  return with_ring(device, m, [](RingControl& ring, std::uint32_t) { return done(ring.kick_in_band()); });
}

Result<Reply> set_vring_addr(Device& device, Message& m) {
  const auto addresses = m.payload_padded_as<protocol::VringAddress>();
  const auto ring = device.ring(addresses.index);
  if (!ring) return ring.error();
  return done((*ring)->set_addresses(addresses));
}

using SharedEventFd = std::shared_ptr<const EventFd>;

// The descriptor that the message brings; null with the no-fd bit.
Result<SharedEventFd> event_fd_of(Device& device, Message& m, const char* what) {
  if (m.fd_count() == 0) return SharedEventFd{};
  auto adopted = EventFd::adopt(m.take_fd(), what, device.parts().signals);
  if (!adopted) return std::move(adopted).error();
  return SharedEventFd(std::make_shared<const EventFd>(std::move(adopted).value()));
}

// The log's eventfd signals that pages were dirtied. This back-end logs none, so it never signals.
Result<Reply> set_log_fd(Device& device, Message& m) {
  auto fd = event_fd_of(device, m, "SET_LOG_FD: the descriptor");
  if (!fd) return std::move(fd).error();
  return Reply{};
}

template <typename Change>
Result<Reply> with_event_fd(Device& device, Message& m, const char* what, Change change) {
  const auto ring = device.ring(u64_of(m) & protocol::vring_index_mask);
  if (!ring) return ring.error();
  auto fd = event_fd_of(device, m, what);
  if (!fd) return std::move(fd).error();
  return done(change(**ring, std::move(fd).value()));
}

Result<Reply> set_vring_kick(Device& device, Message& m) {
  return with_event_fd(device, m, "SET_VRING_KICK: the descriptor",
                       [](RingControl& ring, SharedEventFd fd) { return ring.set_kick(std::move(fd)); });
}
Result<Reply> set_vring_call(Device& device, Message& m) {
  return with_event_fd(device, m, "SET_VRING_CALL: the descriptor",
                       [](RingControl& ring, SharedEventFd fd) -> Result<void> {
                         ring.set_call(std::move(fd));
                         return {};
                       });
}
Result<Reply> set_vring_err(Device& device, Message& m) {
  return with_event_fd(device, m, "SET_VRING_ERR: the descriptor",
                       [](RingControl& ring, SharedEventFd fd) -> Result<void> {
                         ring.set_err(std::move(fd));
                         return {};
                       });
}

Result<Reply> send_rarp(Device& device, Message& m) {
  device.announce(u64_of(m));
  return Reply{};
}
Result<Reply> net_set_mtu(Device& device, Message& m) { return done(device.set_mtu(u64_of(m))); }
Result<Reply> set_backend_req_fd(Device& device, Message& m) { return done(device.set_backend_socket(m.take_fd())); }
Result<Reply> set_status(Device& device, Message& m) { return done(device.set_status(u64_of(m))); }
Result<Reply> get_status(Device& device, Message& m) { return number(m, device.status()); }

using Id = FrontEndRequest;

struct Entry {
  Id id;
  Handler handler;
};

constexpr std::array entries{
    Entry{Id::get_features, get_features},
    Entry{Id::set_features, set_features},
    Entry{Id::set_owner, set_owner},
    Entry{Id::reset_owner, reset_owner},
    Entry{Id::set_mem_table, set_mem_table},
    Entry{Id::set_log_fd, set_log_fd},
    Entry{Id::set_vring_num, set_vring_num},
    Entry{Id::set_vring_addr, set_vring_addr},
    Entry{Id::set_vring_base, set_vring_base},
    Entry{Id::get_vring_base, get_vring_base},
    Entry{Id::set_vring_kick, set_vring_kick},
    Entry{Id::set_vring_call, set_vring_call},
    Entry{Id::set_vring_err, set_vring_err},
    Entry{Id::get_protocol_features, get_protocol_features},
    Entry{Id::set_protocol_features, set_protocol_features},
    Entry{Id::get_queue_num, get_queue_num},
    Entry{Id::set_vring_enable, set_vring_enable},
    Entry{Id::send_rarp, send_rarp},
    Entry{Id::net_set_mtu, net_set_mtu},
    Entry{Id::set_backend_req_fd, set_backend_req_fd},
    Entry{Id::reset_device, reset_device},
    Entry{Id::vring_kick, vring_kick},
    Entry{Id::get_max_mem_slots, get_max_mem_slots},
    Entry{Id::add_mem_reg, add_mem_reg},
    Entry{Id::rem_mem_reg, rem_mem_reg},
    Entry{Id::set_status, set_status},
    Entry{Id::get_status, get_status},
};

}  // namespace

Handler find_handler(std::uint32_t request) noexcept {
  for (const Entry& entry : entries)
    if (static_cast<std::uint32_t>(entry.id) == request) return entry.handler;
  return nullptr;
}

}  // namespace vhostx::backend
