// SPDX-License-Identifier: BSD-3-Clause
// Configuration space, in-flight region, status, resets, MTU, and the back-end's own channel.
#include <algorithm>
#include <cstring>
#include <vector>

#include <sys/mman.h>
#include <sys/stat.h>

#include "tools/front_end/config_messages.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint32_t tx = 1;

RawReply read_config(Guest& guest, std::uint32_t offset, std::uint32_t bytes) {
  const std::vector<std::byte> empty(bytes);
  return guest.link().exchange(make_config_request(Request::get_config, {offset, bytes, 0}, empty));
}

Verdict config_sizes(const Subject& subject) {
  Guest guest(subject, {.protocol = {ProtocolFeature::config}});
  for (const std::uint32_t bytes : {1U, 2U, 6U, 8U}) {
    const RawReply reply = read_config(guest, 0, bytes);
    if (reply.payload.size() != sizeof(ConfigHeader) + bytes)
      return failed("{} bytes were asked for: a payload of {}", bytes, reply.payload.size());
    ConfigHeader header;
    std::memcpy(&header, reply.payload.data(), sizeof header);
    if (header.size != bytes) return failed("{} bytes were asked for, {} are said to come", bytes, header.size);
  }
  return passed("1, 2, 6 and 8 bytes");
}

Verdict config_offset(const Subject& subject) {
  Guest guest(subject, {.protocol = {ProtocolFeature::config}});
  const RawReply whole = read_config(guest, 0, 8);
  const RawReply part = read_config(guest, 4, 4);
  if (whole.payload.size() != 20 || part.payload.size() != 16)
    return failed("payloads of {} and {} bytes", whole.payload.size(), part.payload.size());
  const bool same = std::equal(part.payload.begin() + 12, part.payload.end(), whole.payload.begin() + 16);
  return same ? passed("bytes 4 to 7 are the same alone") : failed("bytes 4 to 7 differ when they are read alone");
}

struct InflightRegion {
  Inflight description;
  UniqueFd fd;
};

InflightRegion get_inflight(Guest& guest, std::uint16_t queues, std::uint16_t size) {
  const Inflight wanted{.queue_count = queues, .queue_size = size};
  RawReply reply = guest.link().exchange(make_request(Request::get_inflight_fd, wanted));
  if (reply.payload.size() != sizeof(Inflight)) throw Decided{failed("{} bytes, 24 expected", reply.payload.size())};
  if (reply.fds.size() != 1) throw Decided{failed("{} descriptors, 1 expected", reply.fds.size())};
  InflightRegion region{.fd = reply.fds.take(0)};
  std::memcpy(&region.description, reply.payload.data(), sizeof region.description);
  return region;
}

GuestPlan with_inflight() { return {.protocol = {ProtocolFeature::inflight_shmfd}}; }

Verdict inflight_fits(const Subject& subject) {
  constexpr std::uint16_t queues = 2;
  constexpr std::uint16_t size = 256;
  constexpr std::uint64_t needed = queues * (16U + 16U * size);  // "Inflight I/O tracking": the split queue's region
  Guest guest(subject, with_inflight());
  const InflightRegion region = get_inflight(guest, queues, size);
  struct stat file {};
  if (::fstat(region.fd.get(), &file) != 0) return failed("the descriptor cannot be asked for its size");
  const auto& said = region.description;
  if (said.mmap_size < needed)
    return failed("{} bytes for {} queues of {}, {} are needed", said.mmap_size, queues, size, needed);
  if (static_cast<std::uint64_t>(file.st_size) < said.mmap_offset + said.mmap_size)
    return failed("the file has {} bytes, and the region ends at {}", file.st_size, said.mmap_offset + said.mmap_size);
  void* view = ::mmap(nullptr, said.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd.get(),
                      static_cast<off_t>(said.mmap_offset));
  if (view == MAP_FAILED) return failed("the region cannot be mapped");
  ::munmap(view, said.mmap_size);
  return passed("{} bytes for {} queues of {}", said.mmap_size, queues, size);
}

Verdict inflight_returns(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, with_inflight());
  InflightRegion region = get_inflight(guest, 2, 64);
  Message message = make_request(Request::set_inflight_fd, region.description);
  message.add_fd(std::move(region.fd));
  guest.link().change(std::move(message));
  guest.start();
  guest.send(8);
  guest.await_sent("rings with an in-flight region");
  return passed("frames used, in-flight region in place");
}

Verdict status_kept(const Subject& subject) {
  Guest guest(subject, {.protocol = {ProtocolFeature::status}});
  for (const std::uint64_t status : {1U, 3U, 11U, 15U}) {  // VIRTIO 1.2, 3.1.1: the driver's steps
    guest.link().change(make_request(Request::set_status, U64{status}));
    const auto now = need(guest.link().get_u64(Request::get_status), "GET_STATUS");
    if (now != status) return failed("{} was set, {} is read", status, now);
  }
  return passed("1, 3, 11, 15 set and read");
}

Verdict status_reset(const Subject& subject) {
  Guest guest(subject, {.protocol = {ProtocolFeature::status}});
  guest.link().change(make_request(Request::set_status, U64{15}));
  guest.link().change(make_request(Request::set_status, U64{0}));
  const auto now = need(guest.link().get_u64(Request::get_status), "GET_STATUS");
  return now == 0 ? passed("0 after the reset") : failed("{} after the reset", now);
}

Verdict works_after(Guest& guest, const char* what) {
  guest.link().change(make_request(Request::set_features, U64{guest.features().bits()}));
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) guest.ring(vring).restart_at(0);
  guest.start();
  guest.send(8);
  guest.await_sent(what);
  return passed("frames used before and after");
}

Verdict reset_device(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.protocol = {ProtocolFeature::reset_device}});
  guest.start();
  guest.send(8);
  guest.await_sent("before the reset");
  guest.link().change(make_request(Request::reset_device));
  guest.link().sync("RESET_DEVICE");
  guest.send(4);
  guest.transmit().kick();
  if (!guest.stays_unused(tx)) return failed("a ring ran on after the reset");
  return works_after(guest, "rings that were set up anew after RESET_DEVICE");
}

Verdict reset_owner(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.link().change(make_request(Request::reset_owner));
  guest.link().sync("RESET_OWNER");
  guest.link().change(make_request(Request::set_owner));
  guest.share_memory();
  return works_after(guest, "rings after RESET_OWNER");
}

Verdict mtu_accepted(const Subject& subject) {
  need_net(subject);
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, {.features = {VirtioFeature::net_mtu}, .protocol = {ProtocolFeature::mtu}});
  const auto status = guest.link().ack(make_request(Request::net_set_mtu, U64{1500}));
  if (status != 0) return failed("MTU 1500 was refused with status {}", status);
  guest.start();
  guest.send(8);
  guest.await_sent("rings with an MTU");
  return passed("MTU 1500 taken, frames used");
}

Verdict channel_taken(const Subject& subject) {
  Guest guest(subject, {.protocol = {ProtocolFeature::backend_req}});
  need(guest.link().open_backend_channel(), "SET_BACKEND_REQ_FD");
  guest.link().sync("SET_BACKEND_REQ_FD");
  need(guest.link().open_backend_channel(), "SET_BACKEND_REQ_FD");  // which closes our end of the first
  guest.link().sync("a second SET_BACKEND_REQ_FD");
  return passed("taken, and another one in its place");
}

GuestPlan in_band() {
  return {
      .protocol = {ProtocolFeature::inband_notifications, ProtocolFeature::backend_req, ProtocolFeature::reply_ack}};
}

/// Rings described and enabled, with the no-fd bit in place of eventfds.
void prepare_in_band(Guest& guest) {
  need(guest.link().open_backend_channel(), "SET_BACKEND_REQ_FD");
  guest.link().sync("SET_BACKEND_REQ_FD");
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    guest.describe(vring, 0);
    guest.set_fd(Request::set_vring_call, vring, -1);
    guest.set_fd(Request::set_vring_kick, vring, -1);
    guest.enable(vring);
  }
}

Verdict kick_in_band(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, in_band());
  prepare_in_band(guest);
  guest.send(4);
  for (std::uint32_t vring = 0; vring <= tx; ++vring)
    guest.link().change(make_request(Request::vring_kick, VringState{vring, 0}));
  guest.await_sent("after VRING_KICK");
  return passed("frames used after VRING_KICK");
}

Verdict call_in_band(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, in_band());
  prepare_in_band(guest);
  guest.send(4);
  for (std::uint32_t vring = 0; vring <= tx; ++vring)
    guest.link().change(make_request(Request::vring_kick, VringState{vring, 0}));
  const Message call = need(guest.link().receive_backend_request(), "waiting for VRING_CALL");
  if (call.back_end_request() != BackEndRequest::vring_call)
    return failed("request {} instead of VRING_CALL", call.request());
  const auto ring = need(call.payload_as<VringState>(), "VRING_CALL");
  if (ring.index > tx) return failed("VRING_CALL for ring {}", ring.index);
  return passed("VRING_CALL for ring {}", ring.index);
}

}  // namespace

void add_device_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("device.") + id, section, title, run});
  };
  const char* const inflight = "Inflight I/O tracking";
  const char* const in_band_section = "VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS";
  add("config-sizes", "VHOST_USER_GET_CONFIG", "configuration space is read in the length that was asked for",
      config_sizes);
  add("config-offset", "VHOST_USER_GET_CONFIG", "configuration space is read from the offset that was asked for",
      config_offset);
  add("inflight-region", inflight, "GET_INFLIGHT_FD brings a region that is large enough", inflight_fits);
  add("inflight-returned", inflight, "rings run with the region that SET_INFLIGHT_FD returns", inflight_returns);
  add("status-kept", "VHOST_USER_SET_STATUS", "GET_STATUS reads what SET_STATUS set", status_kept);
  add("status-reset", "VHOST_USER_SET_STATUS", "status 0 resets", status_reset);
  add("reset-device", "VHOST_USER_RESET_DEVICE", "RESET_DEVICE stops the rings, which can be set up anew",
      reset_device);
  add("reset-owner", "VHOST_USER_RESET_OWNER", "RESET_OWNER does no harm", reset_owner);
  add("mtu", "VHOST_USER_NET_SET_MTU", "an MTU of 1500 is taken", mtu_accepted);
  add("back-end-channel", "VHOST_USER_SET_BACKEND_REQ_FD", "a channel is taken, and another one in its place",
      channel_taken);
  add("in-band-kick", in_band_section, "VRING_KICK starts a ring", kick_in_band);
  add("in-band-call", in_band_section, "used buffers are followed by VRING_CALL", call_in_band);
}

}  // namespace vhostx::tools::probe
