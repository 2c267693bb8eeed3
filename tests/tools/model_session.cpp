// SPDX-License-Identifier: BSD-3-Clause
#include "model_session.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>
#include <vector>

#include <sys/mman.h>

#include "protocol/request_table.hpp"
#include "protocol/socket_io.hpp"
#include "tools/front_end/config_messages.hpp"
#include "tools/front_end/front_end.hpp"
#include "virtqueue/packed_ring.hpp"

namespace vhostx::test {

using namespace protocol;
using R = FrontEndRequest;
using P = ProtocolFeature;
using V = VirtioFeature;

namespace {
constexpr std::uint64_t slots_max = 32;
constexpr std::size_t state_bytes = 6000;

/// The state of every guest of the model.
std::vector<std::byte> model_state() {
  std::vector<std::byte> state(state_bytes);
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = static_cast<std::byte>(i * 3);
  return state;
}
}  // namespace

FeatureSet ModelSession::features() const {
  FeatureSet offered{
      V::version_1,  V::vhost_user_protocol_features, V::net_mtu, V::net_mrg_rxbuf, V::vhost_log_all, V::in_order,
      V::ring_packed};
  if (fault_ == Fault::tso_without_csum) offered.set(V::net_host_tso4);
  if (fault_ == Fault::changing_features && number_ > 0) offered.clear(V::in_order);
  return offered;
}

ProtocolFeatureSet ModelSession::protocol_features() const {
  return {P::mq,          P::reply_ack,    P::rarp,   P::mtu,    P::backend_req,    P::configure_mem_slots,
          P::log_shmfd,   P::reset_device, P::status, P::config, P::inflight_shmfd, P::gpa_addresses,
          P::device_state};
}

void ModelSession::read(std::span<std::byte> into, FdList& fds) {
  for (std::size_t done = 0; done < into.size();) {
    const Transfer got = receive(fd(), into.subspan(done), fds, Blocking::yes);
    if (got.error != 0 || got.bytes == 0 || got.fds_lost) throw ModelOver{};
    if (fault_ == Fault::needs_whole_messages && got.bytes < into.size() - done) throw ModelOver{};
    done += got.bytes;
  }
}

void ModelSession::write(Message message) {
  Header header = message.header();
  if (fault_ == Fault::wrong_version) header.flags = (header.flags & ~3U) | 2;
  if (fault_ == Fault::reply_flag_missing) header.flags &= ~Header::reply;
  Message altered = make_message(header, message.payload());
  altered.set_fds(message.take_fds());
  const auto bytes = encode(altered);
  if (transmit(fd(), bytes, altered.fds(), Blocking::yes).error != 0) throw ModelOver{};
}

void ModelSession::serve_message() {
  std::array<std::byte, message_header_bytes> bytes;
  FdList fds;
  read(bytes, fds);
  const Header header = decode_header(bytes);
  if (!check_header(Incoming::front_end_requests, header)) throw ModelOver{};
  Message message(header);
  if (header.size != 0) read(message.payload(), fds);
  message.set_fds(std::move(fds));
  if (!check_message(Incoming::front_end_requests, message)) throw ModelOver{};
  data_.turn();  // what was shown before this message is served before it
  answer(message, handle(message));
  data_.turn();
}

void ModelSession::acknowledge(const Header& request, bool good) {
  if (fault_ == Fault::refuses_all) good = false;
  if (fault_ == Fault::short_acks) {
    write(make_reply(request, std::array<std::byte, 4>{}));
  } else {
    write(make_ack(request, good ? 0 : 1));
    if (fault_ == Fault::two_acks) write(make_ack(request, good ? 0 : 1));
  }
}

void ModelSession::answer(const Message& request, Outcome outcome) {
  const RequestRow* row = find_front_end_row(request.request());
  const bool asked = request.needs_reply() && protocol_.has(P::reply_ack);
  if (outcome.reply) {
    write(std::move(*outcome.reply));
    if (asked && fault_ == Fault::acks_replies) acknowledge(request.header(), true);
    return;
  }
  if (row != nullptr && row->reply == ReplyKind::always) throw ModelOver{};
  if (asked ? fault_ != Fault::no_acks : fault_ == Fault::acks_unasked)
    return acknowledge(request.header(), outcome.good);
  if (!outcome.good) throw ModelOver{};
}

ModelSession::Outcome ModelSession::handle(Message& m) {
  const RequestRow* row = find_front_end_row(m.request());
  if (row == nullptr && fault_ == Fault::dies_of_unknown) throw ModelOver{true};
  if (row == nullptr) return {fault_ == Fault::takes_unknown};
  if (row->payload.kind == PayloadKind::vring_state || row->payload.kind == PayloadKind::vring_address)
    return handle_ring(m);
  if (row->payload.kind == PayloadKind::vring_fd) return handle_fd(m);
  if (row->payload.kind == PayloadKind::memory_table || row->payload.kind == PayloadKind::memory_region)
    return handle_memory(m);
  return handle_device(m);
}

bool ModelSession::takes_size(std::uint32_t size) const noexcept {
  if (fault_ == Fault::takes_any_size) return true;
  const bool any = data_.packed && fault_ != Fault::takes_powers_of_two;
  return size != 0 && size <= 32768 && (any || (size & (size - 1)) == 0);
}

ModelSession::Outcome ModelSession::handle_ring(Message& m) {
  const auto state = m.payload_padded_as<VringState>();
  if (state.index > 1) return {false};
  ModelRing& ring = data_.rings[state.index];
  switch (m.front_end_request()) {
    case R::set_vring_num:
      if (!takes_size(state.num)) return {false};
      ring.size = state.num;
      return {};
    case R::set_vring_base:
      ring.base = static_cast<std::uint16_t>(state.num);
      if (fault_ == Fault::needs_both_halves && state.num <= 0xffff) ring.base = virtqueue::PackedPosition{}.value;
      return {state.num <= 0xffff || data_.packed};
    case R::set_vring_addr:
      ring.at = m.payload_padded_as<VringAddress>();
      return {};
    case R::set_vring_enable:
      ring.enabled = state.num == 1;
      return {state.num <= 1};
    case R::get_vring_base: {
      ring.stop();
      if (fault_ == Fault::stop_stops_all)
        for (ModelRing& one : data_.rings) one.stop();
      const std::uint32_t place = ring.base + (fault_ == Fault::base_one_off ? 1U : 0U);
      const std::uint32_t base = place | (data_.packed ? std::uint32_t{ring.base} << 16 : 0);
      return {true, make_reply(m.header(), VringState{state.index, base})};
    }
    default:
      return {false};
  }
}

ModelSession::Outcome ModelSession::handle_fd(Message& m) {
  const auto index = m.payload_padded_as<U64>().value & vring_index_mask;
  if (index > 1) return {false};
  ModelRing& ring = data_.rings[index];
  EventFd event;
  if (m.fd_count() != 0) {
    auto adopted = EventFd::adopt(m.take_fd(), "a test's descriptor");
    if (!adopted) return {false};
    event = *std::move(adopted);
  }
  if (m.front_end_request() == R::set_vring_kick) {
    ring.kick = std::move(event);
    ring.armed = true;
  } else if (m.front_end_request() == R::set_vring_call) {
    if (ring.started && fault_ == Fault::forgets_late_call) return {};
    if (ring.started && fault_ == Fault::call_swap_stops) ring.stop();
    ring.old_call = std::move(ring.call);
    ring.call = std::move(event);
  } else {
    ring.err = std::move(event);
  }
  return {};
}

ModelSession::Outcome ModelSession::handle_memory(Message& m) {
  if (m.front_end_request() == R::set_mem_table) {
    const auto table = m.payload_padded_as<MemoryTablePayload>();
    if (fault_ == Fault::keeps_old_memory && data_.memory.count() != 0) return {};
    data_.memory.clear();
    for (std::uint32_t i = 0; i < table.header.count; ++i)
      if (!data_.memory.add(table.regions[i], m.take_fd(i))) return {false};
    return {};
  }
  if (!protocol_.has(P::configure_mem_slots)) return {false};
  const auto region = m.payload_padded_as<SingleMemoryRegion>().region;
  if (m.front_end_request() == R::rem_mem_reg) return {data_.memory.remove(region)};
  const std::size_t room = fault_ == Fault::few_slots ? slots_max / 2 : slots_max;
  return {data_.memory.count() < room && data_.memory.add(region, m.take_fd())};
}

ModelSession::Outcome ModelSession::get_config(const Message& m) {
  const auto header = m.payload_padded_as<ConfigHeader>();
  std::array<std::byte, 64> space{};
  for (std::size_t i = 0; i < space.size(); ++i) space[i] = static_cast<std::byte>(i + 1);
  if (header.offset > space.size() || header.size > space.size() - header.offset)
    return {true, make_reply(m.header(), std::span<const std::byte>())};
  if (fault_ == Fault::config_of_fixed_size)
    return {true, make_config_reply(m.header(), {0, 12, 0}, std::span(space).first(12))};
  return {true, make_config_reply(m.header(), header, std::span(space).subspan(header.offset, header.size))};
}

ModelSession::Outcome ModelSession::get_inflight(const Message& m) {
  auto said = m.payload_padded_as<Inflight>();
  said.mmap_size = said.queue_count * (16U + 16U * said.queue_size);
  if (fault_ == Fault::small_inflight_region) said.mmap_size /= 2;
  UniqueFd file(::memfd_create("inflight", MFD_CLOEXEC));
  if (::ftruncate(file.get(), static_cast<off_t>(said.mmap_size)) != 0) return {false};
  Message reply = make_reply(m.header(), said);
  if (fault_ != Fault::inflight_without_descriptor) reply.add_fd(std::move(file));
  return {true, std::move(reply)};
}

void ModelSession::set_features(std::uint64_t bits) {
  agreed_ = FeatureSet(bits);
  data_.mergeable = agreed_.has(V::net_mrg_rxbuf);
  data_.packed = agreed_.has(V::ring_packed);
  const bool late = fault_ == Fault::logs_from_the_begin && data_.any_started();
  if (!late) data_.logs = agreed_.has(V::vhost_log_all) || (data_.logs && fault_ == Fault::logs_on);
  // Ring states: without bit 30 rings start enabled.
  if (!agreed_.has(V::vhost_user_protocol_features) && fault_ != Fault::starts_disabled_without_bit_30)
    for (ModelRing& ring : data_.rings) ring.enabled = true;
}

void ModelSession::reset() {
  if (fault_ == Fault::survives_reset) return;
  for (ModelRing& ring : data_.rings) {
    ring.stop();
    ring.enabled = false;
  }
  status_ = 0;
}

ModelSession::Outcome ModelSession::answer_question(const Message& m) {
  switch (m.front_end_request()) {
    case R::get_features:
      ++asked_;
      if (fault_ == Fault::short_features && asked_ > 1)
        return {true, make_reply(m.header(), std::array<std::byte, 4>{})};
      return number(m, features().bits());
    case R::get_protocol_features:
      return number(m, protocol_features().bits());
    case R::get_status:
      return number(m, status_);
    case R::get_queue_num:
      return number(m, 1);
    case R::get_max_mem_slots:
      return number(m, slots_max);
    case R::get_config:
      return get_config(m);
    case R::get_inflight_fd:
      return get_inflight(m);
    case R::check_device_state:
      return check_state(m);
    default:
      return {false};
  }
}

ModelSession::Outcome ModelSession::set_log(Message& m) {
  const bool taken = data_.log.set(m.payload_padded_as<LogBase>(), m.take_fd());
  if (!taken && fault_ == Fault::takes_log_to_the_end) throw ModelOver{true};
  if (!taken) return {false};
  if (fault_ == Fault::two_log_replies) write(make_ack(m.header(), 0));
  return {true, make_reply(m.header(), std::span<const std::byte>())};
}

/// A file in memory goes to the front-end: to be read, or to be written and looked at when CHECK comes.
ModelSession::Outcome ModelSession::begin_state(Message& m) {
  const auto what = m.payload_padded_as<DeviceState>();
  const bool known = what.direction <= 1 && what.phase == 0;
  if (!known && fault_ != Fault::takes_any_transfer) return number(m, 0x101);
  if (fault_ == Fault::refuses_to_save && what.direction == 0) return number(m, 0x101);
  if (fault_ == Fault::state_without_end && what.direction == 0) {
    unfinished_ = m.take_fd();
    return number(m, 0x100);
  }
  UniqueFd file(::memfd_create("state", MFD_CLOEXEC));
  loading_ = UniqueFd();
  if (what.direction == 0) {
    const auto state = model_state();
    if (::pwrite(file.get(), state.data(), state.size(), 0) != static_cast<ssize_t>(state.size())) return {false};
    data_.dead = fault_ == Fault::stops_for_good_when_saved;
  } else {
    loading_ = tools::duplicate(file.get());
  }
  Message reply = make_reply(m.header(), U64{0});
  if (fault_ != Fault::state_without_descriptor) reply.add_fd(std::move(file));
  return {true, std::move(reply)};
}

bool ModelSession::is_good_state() const {
  if (fault_ == Fault::refuses_own_state) return false;
  std::vector<std::byte> state(state_bytes + 1);
  const ssize_t got = ::pread(loading_.get(), state.data(), state.size(), 0);
  state.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  auto expected = model_state();
  if (fault_ == Fault::takes_any_state) return true;
  if (fault_ == Fault::takes_half_a_state) expected.resize(std::min(state.size(), expected.size()));
  return state == expected;
}

ModelSession::Outcome ModelSession::check_state(const Message& m) {
  const bool good = (!loading_ || is_good_state()) && fault_ != Fault::says_state_failed;
  loading_ = UniqueFd();
  return number(m, good ? 0 : 1);
}

ModelSession::Outcome ModelSession::set_status(std::uint64_t status) {
  if (status == 0 && fault_ != Fault::keeps_status) reset();
  if (status != 0) status_ = status & 0xff;
  return {};
}

ModelSession::Outcome ModelSession::handle_device(Message& m) {
  const auto value = m.payload_padded_as<U64>().value;
  switch (m.front_end_request()) {
    case R::set_features:
      if (!features().has_all(FeatureSet(value))) return {false};
      set_features(value);
      return {};
    case R::set_protocol_features:
      if (!protocol_features().has_all(ProtocolFeatureSet(value))) return {false};
      protocol_ = ProtocolFeatureSet(value);
      return {};
    case R::set_owner:
    case R::reset_owner:
    case R::set_log_fd:
    case R::send_rarp:
    case R::set_inflight_fd:
      return {};
    case R::reset_device:
      reset();
      return {};
    case R::net_set_mtu:
      return {value >= 68 && value <= 65535};
    case R::set_backend_req_fd:
      channel_ = m.take_fd();
      return {};
    case R::set_status:
      return set_status(value);
    case R::set_log_base:
      return set_log(m);
    case R::set_device_state_fd:
      return begin_state(m);
    default:
      return answer_question(m);
  }
}

}  // namespace vhostx::test
