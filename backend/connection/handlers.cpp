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
using protocol::U64;
using protocol::VringState;

Result<Reply> done(Result<void> result) {
  if (!result) return std::move(result).error();
  return Reply{};
}

Result<Reply> number(const Call& c, std::uint64_t value) {
  return Reply{protocol::make_reply(c.message.header(), U64{value})};
}

// The lengths of payloads were checked against the row before a handler is called.
std::uint64_t u64_of(const Call& c) noexcept { return c.message.payload_padded_as<U64>().value; }
VringState state_of(const Call& c) noexcept { return c.message.payload_padded_as<VringState>(); }

// "Deprecated ... either ignore this message, or use it to disable all rings."
Result<Reply> reset_owner(const Call& c) {
  for (const auto& ring : c.device.rings()) ring->enable(false);
  return Reply{};
}
Result<Reply> reset_device(const Call& c) {
  c.device.reset();
  return Reply{};
}

Result<Reply> get_vring_base(const Call& c) {
  return Reply{protocol::make_reply(c.message.header(), VringState{state_of(c).index, c.device.stop(*c.ring)})};
}
Result<Reply> set_vring_enable(const Call& c) {
  const std::uint32_t num = state_of(c).num;
  if (num > 1) return protocol_violation("SET_VRING_ENABLE {}: expected 0 or 1", num);
  c.ring->enable(num == 1);
  return Reply{};
}

using SharedEventFd = std::shared_ptr<const EventFd>;

// The descriptor that the message brings; null with the no-fd bit.
Result<SharedEventFd> event_fd_of(const Call& c, const char* what) {
  if (c.message.fd_count() == 0) return SharedEventFd{};
  auto adopted = EventFd::adopt(c.message.take_fd(), what, c.device.parts().signals);
  if (!adopted) return std::move(adopted).error();
  return SharedEventFd(std::make_shared<const EventFd>(std::move(adopted).value()));
}

// QEMU waits for the answer without a limit, and does not look at it.
Result<Reply> set_log_base(const Call& c) {
  const auto where = c.message.payload_padded_as<protocol::LogBase>();
  if (auto good = c.device.set_log_base(where, c.message.take_fd()); !good) return std::move(good).error();
  return number(c, 0);
}

Result<Reply> set_log_fd(const Call& c) {
  auto fd = event_fd_of(c, "SET_LOG_FD: the descriptor");
  if (!fd) return std::move(fd).error();
  c.device.set_log_signal(std::move(fd).value());
  return Reply{};
}

Result<Reply> get_inflight_fd(const Call& c) {
  auto area = c.message.payload_padded_as<protocol::Inflight>();
  auto file = c.device.create_inflight(area);
  if (!file) return make_error(file.error().code, "GET_INFLIGHT_FD: {}", file.error().message);
  Reply reply{protocol::make_reply(c.message.header(), area)};
  reply->add_fd(std::move(file).value());
  return reply;
}

Result<Reply> set_inflight_fd(const Call& c) {
  const auto where = c.message.payload_padded_as<protocol::Inflight>();
  if (auto good = c.device.set_inflight(where, c.message.take_fd()); !good)
    return make_error(good.error().code, "SET_INFLIGHT_FD: {}", good.error().message);
  return Reply{};
}

Result<Reply> set_vring_kick(const Call& c) {
  auto fd = event_fd_of(c, "SET_VRING_KICK: the descriptor");
  if (!fd) return std::move(fd).error();
  return done(c.ring->set_kick(std::move(fd).value()));
}
Result<Reply> set_vring_call(const Call& c) {
  auto fd = event_fd_of(c, "SET_VRING_CALL: the descriptor");
  if (!fd) return std::move(fd).error();
  c.ring->set_call(std::move(fd).value());
  return Reply{};
}
Result<Reply> set_vring_err(const Call& c) {
  auto fd = event_fd_of(c, "SET_VRING_ERR: the descriptor");
  if (!fd) return std::move(fd).error();
  c.ring->set_err(std::move(fd).value());
  return Reply{};
}

Result<Reply> send_rarp(const Call& c) {
  c.device.announce(u64_of(c));
  return Reply{};
}

// "Bits 0-7 are 0 on success ... Bit 8 is the invalid FD flag". An error has its answer too: the guest goes on where it
// is. The front-end's own descriptor is not used: see DeviceState.
Result<Reply> set_device_state_fd(const Call& c) {
  constexpr std::uint64_t error_without_fd = 0x101;
  auto channel = c.device.begin_state_transfer(c.message.payload_padded_as<protocol::DeviceState>());
  if (!channel) return number(c, error_without_fd);
  auto reply = number(c, 0);
  (*reply)->add_fd(std::move(channel).value());
  return reply;
}

using Id = FrontEndRequest;

struct Entry {
  Id id;
  Handler handler;
};

constexpr std::array entries{
    Entry{Id::get_features, [](const Call& c) { return number(c, c.device.features_offered().bits()); }},
    Entry{Id::set_features, [](const Call& c) { return done(c.device.set_features(protocol::FeatureSet(u64_of(c)))); }},
    Entry{Id::set_owner, [](const Call&) { return done({}); }},
    Entry{Id::reset_owner, reset_owner},
    Entry{Id::set_mem_table, [](const Call& c) { return done(c.device.change_memory(&MemoryTable::set, c.message)); }},
    Entry{Id::set_log_base, set_log_base},
    Entry{Id::set_log_fd, set_log_fd},
    Entry{Id::set_vring_num, [](const Call& c) { return done(c.ring->set_size(state_of(c).num)); }},
    Entry{Id::set_vring_addr,
          [](const Call& c) {
            return done(c.ring->set_addresses(c.message.payload_padded_as<protocol::VringAddress>()));
          }},
    Entry{Id::set_vring_base, [](const Call& c) { return done(c.ring->set_base(state_of(c).num)); }},
    Entry{Id::get_vring_base, get_vring_base},
    Entry{Id::set_vring_kick, set_vring_kick},
    Entry{Id::set_vring_call, set_vring_call},
    Entry{Id::set_vring_err, set_vring_err},
    Entry{Id::get_protocol_features,
          [](const Call& c) { return number(c, c.device.protocol_features_offered().bits()); }},
    Entry{Id::set_protocol_features,
          [](const Call& c) { return done(c.device.set_protocol_features(protocol::ProtocolFeatureSet(u64_of(c)))); }},
    Entry{Id::get_queue_num, [](const Call& c) { return number(c, c.device.parts().options.queue_pairs_max); }},
    Entry{Id::set_vring_enable, set_vring_enable},
    Entry{Id::send_rarp, send_rarp},
    Entry{Id::net_set_mtu, [](const Call& c) { return done(c.device.set_mtu(u64_of(c))); }},
    Entry{Id::set_backend_req_fd, [](const Call& c) { return done(c.device.set_backend_socket(c.message.take_fd())); }},
    Entry{Id::get_inflight_fd, get_inflight_fd},
    Entry{Id::set_inflight_fd, set_inflight_fd},
    Entry{Id::reset_device, reset_device},
    Entry{Id::vring_kick, [](const Call& c) { return done(c.ring->kick_in_band()); }},
    Entry{Id::get_max_mem_slots, [](const Call& c) { return number(c, c.device.parts().options.memory_slots_max); }},
    Entry{Id::add_mem_reg, [](const Call& c) { return done(c.device.change_memory(&MemoryTable::add, c.message)); }},
    Entry{Id::rem_mem_reg, [](const Call& c) { return done(c.device.change_memory(&MemoryTable::remove, c.message)); }},
    Entry{Id::set_status, [](const Call& c) { return done(c.device.set_status(u64_of(c))); }},
    Entry{Id::set_device_state_fd, set_device_state_fd},
    Entry{Id::check_device_state, [](const Call& c) { return number(c, c.device.check_state_transfer() ? 0 : 1); }},
    Entry{Id::get_status, [](const Call& c) { return number(c, c.device.status()); }},
};

}  // namespace

Handler find_handler(std::uint32_t request) noexcept {
  for (const Entry& entry : entries)
    if (static_cast<std::uint32_t>(entry.id) == request) return entry.handler;
  return nullptr;
}

}  // namespace vhostx::backend
