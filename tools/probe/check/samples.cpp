// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/samples.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tools/front_end/config_messages.hpp"

namespace vhostx::tools::probe {

using namespace protocol;

namespace {

using R = FrontEndRequest;
using P = ProtocolFeature;
using V = VirtioFeature;

constexpr std::uint16_t ring_size = 64;
constexpr std::uint64_t mtu = 1500;
constexpr std::uint64_t mac = 0x01736f687602;  // 02:76:68:6f:73:01
constexpr std::uint64_t acknowledge = 1;       // VIRTIO 1.2, 2.1

template <R request>
Message plain(Guest&) {
  return make_request(request);
}
template <R request, std::uint64_t value>
Message number(Guest&) {
  return make_request(request, U64{value});
}
template <R request, std::uint32_t value>
Message ring_state(Guest&) {
  return make_request(request, VringState{0, value});
}

Message with_descriptor(Message message, UniqueFd fd) {
  message.add_fd(std::move(fd));
  return message;
}
template <R request>
Message event(Guest&) {
  return with_descriptor(make_request(request, U64{0}), UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

Message set_features(Guest& guest) { return make_request(R::set_features, U64{guest.features().bits()}); }
Message set_protocol_features(Guest& guest) {
  const ProtocolFeatureSet usual{P::reply_ack, P::mq};
  return make_request(R::set_protocol_features, U64{(usual & guest.subject().protocol).bits()});
}
Message set_mem_table(Guest& guest) {
  return with_descriptor(make_memory_table(std::vector{guest.memory().description(0)}),
                         duplicate(guest.memory().fd(0)));
}
Message set_vring_addr(Guest& guest) { return make_request(R::set_vring_addr, guest.ring(0).addresses(0)); }
Message set_log_fd(Guest&) {
  return with_descriptor(make_request(R::set_log_fd), UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

UniqueFd memory_file(std::size_t bytes) {
  UniqueFd file(::memfd_create("vhostx-log", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw Decided{failed("no memory file")};
  return file;
}
Message set_log_base(Guest&) {
  constexpr std::size_t bytes = 1 << 20;  // a bit a page: 32 GiB
  return with_descriptor(make_request(R::set_log_base, LogBase{bytes, 0}), memory_file(bytes));
}

Message set_backend_req_fd(Guest&) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw Decided{failed("no socket pair")};
  const UniqueFd ours(ends[0]);
  return with_descriptor(make_request(R::set_backend_req_fd), UniqueFd(ends[1]));
}

Message get_config(Guest& guest) {
  const std::array<std::byte, 8> empty{};
  const std::uint32_t bytes = guest.subject().net ? 6 : 8;  // a MAC address; a capacity of blocks
  return make_config_request(R::get_config, {0, bytes, 0}, std::span(empty).first(bytes));
}

Inflight inflight_of(Guest&) { return {.queue_count = 2, .queue_size = ring_size}; }
Message get_inflight_fd(Guest& guest) { return make_request(R::get_inflight_fd, inflight_of(guest)); }
Message set_inflight_fd(Guest& guest) {
  RawReply reply = guest.link().exchange(get_inflight_fd(guest));
  if (reply.payload.size() < 20 || reply.fds.size() != 1)
    throw Decided{failed("GET_INFLIGHT_FD: {} bytes, {} descriptors", reply.payload.size(), reply.fds.size())};
  Message message = make_message(make_request(R::set_inflight_fd).header(), reply.payload);
  message.set_fds(std::move(reply.fds));
  return message;
}

SingleMemoryRegion slot_of(Guest& guest) {
  MemoryRegion region = guest.memory().description(0);
  region.guest_address += std::uint64_t{1} << 40;  // the same file again, elsewhere
  region.front_end_address += std::uint64_t{1} << 40;
  return {0, region};
}
Message add_mem_reg(Guest& guest) {
  return with_descriptor(make_request(R::add_mem_reg, slot_of(guest)), duplicate(guest.memory().fd(0)));
}
Message rem_mem_reg(Guest& guest) {
  guest.link().change(add_mem_reg(guest));
  return make_request(R::rem_mem_reg, slot_of(guest));
}

Message set_device_state_fd(Guest&) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Decided{failed("no pipe")};
  const UniqueFd ours(ends[0]);
  return with_descriptor(make_request(R::set_device_state_fd, DeviceState{}), UniqueFd(ends[1]));
}
Message check_device_state(Guest& guest) {
  guest.link().exchange(set_device_state_fd(guest));
  return make_request(R::check_device_state);
}

// clang-format off
constexpr std::array table{
    Sample{.request = R::get_features, .make = plain<R::get_features>},
    Sample{.request = R::set_features, .make = set_features},
    Sample{.request = R::set_owner, .stage = Stage::connected},
    Sample{.request = R::reset_owner, .make = plain<R::reset_owner>},
    Sample{.request = R::set_mem_table, .make = set_mem_table},
    Sample{.request = R::set_log_base, .protocol = {P::log_shmfd}, .make = set_log_base},
    Sample{.request = R::set_log_fd, .protocol = {P::log_shmfd}, .make = set_log_fd},
    Sample{.request = R::set_vring_num, .make = ring_state<R::set_vring_num, ring_size>},
    Sample{.request = R::set_vring_addr, .make = set_vring_addr},
    Sample{.request = R::set_vring_base, .make = ring_state<R::set_vring_base, 0>},
    Sample{.request = R::get_vring_base, .stage = Stage::described, .make = ring_state<R::get_vring_base, 0>},
    Sample{.request = R::set_vring_kick, .stage = Stage::described, .make = event<R::set_vring_kick>},
    Sample{.request = R::set_vring_call, .stage = Stage::described, .make = event<R::set_vring_call>},
    Sample{.request = R::set_vring_err, .stage = Stage::described, .make = event<R::set_vring_err>},
    Sample{.request = R::get_protocol_features, .stage = Stage::connected},
    Sample{.request = R::set_protocol_features, .make = set_protocol_features},
    Sample{.request = R::get_queue_num, .protocol = {P::mq}, .make = plain<R::get_queue_num>},
    Sample{.request = R::set_vring_enable, .stage = Stage::described, .make = ring_state<R::set_vring_enable, 1>},
    Sample{.request = R::send_rarp, .protocol = {P::rarp}, .net = true, .make = number<R::send_rarp, mac>},
    Sample{.request = R::net_set_mtu, .protocol = {P::mtu}, .features = {V::net_mtu}, .net = true,
           .make = number<R::net_set_mtu, mtu>},
    Sample{.request = R::set_backend_req_fd, .protocol = {P::backend_req}, .make = set_backend_req_fd},
    Sample{.request = R::set_vring_endian, .protocol = {P::cross_endian}, .make = ring_state<R::set_vring_endian, 0>},
    Sample{.request = R::get_config, .protocol = {P::config}, .make = get_config},
    Sample{.request = R::get_inflight_fd, .protocol = {P::inflight_shmfd}, .make = get_inflight_fd},
    Sample{.request = R::set_inflight_fd, .protocol = {P::inflight_shmfd}, .make = set_inflight_fd},
    Sample{.request = R::reset_device, .protocol = {P::reset_device}, .make = plain<R::reset_device>},
    Sample{.request = R::vring_kick, .stage = Stage::described,
           .protocol = {P::inband_notifications, P::backend_req, P::reply_ack}, .make = ring_state<R::vring_kick, 0>},
    Sample{.request = R::get_max_mem_slots, .protocol = {P::configure_mem_slots}, .make = plain<R::get_max_mem_slots>},
    Sample{.request = R::add_mem_reg, .protocol = {P::configure_mem_slots}, .make = add_mem_reg},
    Sample{.request = R::rem_mem_reg, .protocol = {P::configure_mem_slots}, .make = rem_mem_reg},
    Sample{.request = R::set_status, .protocol = {P::status}, .make = number<R::set_status, acknowledge>},
    Sample{.request = R::get_status, .protocol = {P::status}, .make = plain<R::get_status>},
    Sample{.request = R::set_device_state_fd, .protocol = {P::device_state}, .make = set_device_state_fd},
    Sample{.request = R::check_device_state, .protocol = {P::device_state}, .make = check_device_state},
    Sample{.request = R::get_shmem_config, .protocol = {P::shmem}, .make = plain<R::get_shmem_config>},
    Sample{.request = R::get_vring_base_skip_drain, .stage = Stage::described,
           .protocol = {P::inflight_shmfd, P::get_vring_base_inflight, P::get_vring_base_skip_drain},
           .make = ring_state<R::get_vring_base_skip_drain, 0>},
};
// clang-format on

}  // namespace

std::span<const Sample> samples() { return table; }

SampleGuest::SampleGuest(const Subject& subject, const Sample& sample) : sample_(sample) {
  if (sample.net) need_net(subject);
  if (sample.request == R::get_protocol_features || sample.request == R::set_protocol_features)
    need_offered(subject, V::vhost_user_protocol_features);
  if (sample.request == R::set_vring_enable) need_offered(subject, V::vhost_user_protocol_features);
  if (sample.stage == Stage::connected) {
    bare_.emplace(Link::open(subject));
    if (subject.protocol.has(P::reply_ack)) bare_->negotiate_protocol({P::reply_ack});
    return;
  }
  guest_.emplace(subject, GuestPlan{.features = sample.features, .protocol = sample.protocol});
  if (sample.stage == Stage::described) guest_->describe(0, 0);
}

}  // namespace vhostx::tools::probe
