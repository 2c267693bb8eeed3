// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/listen/stand_in.hpp"

#include <algorithm>
#include <cstring>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "protocol/socket_io.hpp"
#include "tools/front_end/config_messages.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr std::size_t rings_max = 256;  // vhost-user: an index has eight bits where it brings a descriptor

/// All of `into`; false: the peer has left.
bool read_all(int socket, std::span<std::byte> into, FdList& fds) {
  while (!into.empty()) {
    const Transfer got = receive(socket, into, fds, Blocking::yes);
    if (got.error != 0 || got.bytes == 0) return false;
    into = into.subspan(got.bytes);
  }
  return true;
}

bool write_all(int socket, const Message& message) {
  const auto bytes = encode(message);
  const FdList none;
  for (std::size_t sent = 0; sent < bytes.size();) {
    const Transfer put =
        transmit(socket, std::span(bytes).subspan(sent), sent == 0 ? message.fds() : none, Blocking::yes);
    if (put.error != 0) return false;
    sent += put.bytes;
  }
  return true;
}

/// VIRTIO 1.2, 5.1.4: address, link up, queue pairs, MTU.
std::array<std::uint8_t, config_bytes_max> net_config(const StandInOptions& options) {
  std::array<std::uint8_t, config_bytes_max> bytes{0x52, 0x54, 0x00, 0x00, 0x00, 0x01, 1, 0};
  const auto pairs = static_cast<std::uint16_t>(options.queue_pairs);
  std::memcpy(bytes.data() + 8, &pairs, sizeof pairs);
  std::memcpy(bytes.data() + 10, &options.mtu, sizeof options.mtu);
  return bytes;
}

}  // namespace

FeatureSet stand_in_features() noexcept {
  FeatureSet all;
  for (const auto& name : virtio_feature_names()) all.set(static_cast<VirtioFeature>(name.bit));
  return all.clear(VirtioFeature::iommu_platform);
}

ProtocolFeatureSet stand_in_protocol_features() noexcept {
  using P = ProtocolFeature;
  return {P::mq,     P::log_shmfd,      P::rarp,         P::reply_ack,           P::mtu,   P::backend_req,
          P::config, P::inflight_shmfd, P::reset_device, P::configure_mem_slots, P::status};
}

StandIn::StandIn(UniqueFd socket, const StandInOptions& options)
    : options_(options), socket_(std::move(socket)), thread_([this] { serve(); }) {}

StandIn::~StandIn() {
  {
    const std::lock_guard lock(mutex_);
    if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
  }
  thread_.join();
}

void StandIn::serve() {
  std::array<std::byte, message_header_bytes> bytes;
  while (true) {
    FdList fds;
    if (!read_all(socket_.get(), bytes, fds)) break;
    const Header header = decode_header(bytes);
    if (header.size > payload_bytes_max || !check_header(Incoming::front_end_requests, header)) break;
    Message request(header);
    if (!read_all(socket_.get(), request.payload(), fds)) break;
    request.set_fds(std::move(fds));
    const auto reply = answer(request);
    if (reply && !write_all(socket_.get(), *reply)) break;
  }
  const std::lock_guard lock(mutex_);
  socket_.reset();
  over_ = true;
}

std::optional<Message> StandIn::answer(const Message& request) {
  const bool sound = check_message(Incoming::front_end_requests, request).ok();
  const RequestRow* const row = find_front_end_row(request.request());
  if (sound)
    if (auto reply = answer_of_its_own(request)) return reply;
  if (!request.needs_reply()) return std::nullopt;
  return make_ack(request.header(), sound && row != nullptr && row->reply == ReplyKind::ack ? 0 : 1);
}

std::optional<Message> StandIn::answer_of_its_own(const Message& request) {
  const auto number = [&request](std::uint64_t value) { return make_reply(request.header(), U64{value}); };
  const auto state = request.payload_padded_as<VringState>();
  switch (request.front_end_request()) {
    case Request::get_features:
      return number((options_.features | FeatureSet{VirtioFeature::vhost_user_protocol_features}).bits());
    case Request::get_protocol_features:
      return number(options_.protocol_features.bits());
    case Request::get_queue_num:
      return number(options_.queue_pairs);
    case Request::get_max_mem_slots:
      return number(options_.memory_slots);
    case Request::get_status:
      return number(status_);
    case Request::set_status:
      status_ = request.payload_padded_as<U64>().value;
      return std::nullopt;
    case Request::set_vring_base:
      if (state.index < rings_max) bases_[state.index] = state.num;
      return std::nullopt;
    case Request::get_vring_base:
      return make_reply(request.header(),
                        VringState{state.index, bases_.contains(state.index) ? bases_[state.index] : 0});
    case Request::set_log_base:
      return number(0);
    case Request::get_config:
      return config(request);
    case Request::get_inflight_fd:
      return in_flight(request);
    default:
      return std::nullopt;
  }
}

Message StandIn::config(const Message& request) const {
  const auto header = request.payload_padded_as<ConfigHeader>();
  const auto bytes = net_config(options_);
  if (header.offset > bytes.size() || header.size > bytes.size() - header.offset)
    return make_config_reply(request.header(), ConfigHeader{header.offset, 0, header.flags}, {});
  return make_config_reply(request.header(), header,
                           std::as_bytes(std::span(bytes)).subspan(header.offset, header.size));
}

// vhost-user "Inflight I/O tracking", split rings: 16 bytes a queue and 16 a descriptor, in cache lines.
Message StandIn::in_flight(const Message& request) const {
  auto wanted = request.payload_padded_as<Inflight>();
  const std::uint64_t queue_bytes = (16 + std::uint64_t{16} * wanted.queue_size + 63) / 64 * 64;
  wanted.mmap_size = queue_bytes * wanted.queue_count;
  wanted.mmap_offset = 0;
  UniqueFd memory(::memfd_create("vhostx-probe-inflight", MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(wanted.mmap_size)) != 0) wanted.mmap_size = 0;
  Message reply = make_reply(request.header(), wanted);
  if (wanted.mmap_size != 0) reply.add_fd(std::move(memory));
  return reply;
}

}  // namespace vhostx::tools::probe
