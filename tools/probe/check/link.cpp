// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/link.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/error.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t reply_bytes_max = 64 * 1024;

bool nobody_listens(const Error& error) { return error.system_errno == ECONNREFUSED || error.system_errno == ENOENT; }

bool may_be_in_passing(const Error& error) {
  return error.code == ErrorCode::closed || error.code == ErrorCode::system;
}

}  // namespace

std::uint64_t RawReply::number() const noexcept {
  std::uint64_t value = 0;
  if (!payload.empty()) std::memcpy(&value, payload.data(), std::min(payload.size(), sizeof value));
  return value;
}

std::string name_of(std::uint32_t request) { return request_name(Incoming::front_end_requests, request); }

Message asking(Message message) {
  Header header = message.header();
  header.flags |= Header::need_reply;
  Message result = make_message(header, message.payload());
  result.set_fds(message.take_fds());
  return result;
}

Link Link::open(const Subject& subject) {
  const auto end = Clock::now() + subject.timeout;
  while (true) {
    auto connected = FrontEnd::connect_once(subject.path, subject.timeout);
    const auto features = connected ? connected->get_u64(FrontEndRequest::get_features) : connected.error();
    if (features) return Link(*std::move(connected));
    const Error& error = features.error();
    if (nobody_listens(error)) throw BackEndGone{"nobody listens: " + error.message};
    if (!may_be_in_passing(error) || Clock::now() >= end)
      throw Decided{failed("no answer on a new connection: {}", error.message)};
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // no event tells when an old connection is forgotten
  }
}

void Link::put(const Message& message) { need(send(message), "sending " + name_of(message.request())); }

Result<RawReply> Link::read_raw() {
  std::array<std::byte, message_header_bytes> bytes;
  RawReply reply;
  if (auto read = read_exactly(fd(), bytes, reply.fds); !read) return read.error();
  reply.header = decode_header(bytes);
  if (reply.header.size > reply_bytes_max)
    return make_error(ErrorCode::protocol_violation, "a reply of {} bytes", reply.header.size);
  reply.payload.resize(reply.header.size);
  if (auto read = read_exactly(fd(), reply.payload, reply.fds); !read) return read.error();
  return reply;
}

RawReply Link::next_reply(std::string_view to) {
  auto reply = read_raw();
  if (!reply) throw Decided{failed("no reply to {}: {}", to, reply.error().message)};
  return std::move(reply).value();
}

RawReply Link::exchange(const Message& message) {
  const std::string name = name_of(message.request());
  put(message);
  RawReply reply = next_reply(name);
  if (reply.header.request != message.request())
    throw Decided{failed("{} was answered by a reply to {}", name, name_of(reply.header.request))};
  if ((reply.header.flags & Header::version_mask) != Header::version_1)
    throw Decided{failed("{}: flags {:#x} in the reply, version 1 expected", name, reply.header.flags)};
  if (!reply.header.is_reply())
    throw Decided{failed("{}: flags {:#x} in the reply, the reply flag is missing", name, reply.header.flags)};
  return reply;
}

std::uint64_t Link::ack(Message message) {
  const std::string name = name_of(message.request());
  const RawReply reply = exchange(asking(std::move(message)));
  if (reply.payload.size() != sizeof(U64))
    throw Decided{failed("{}: an acknowledgement of {} bytes, 8 expected", name, reply.payload.size())};
  return reply.number();
}

void Link::change(Message message) {
  if (!reply_ack_) return put(message);
  const std::string name = name_of(message.request());
  const std::uint64_t status = ack(std::move(message));
  if (status != 0) throw Decided{failed("{} was refused with status {}", name, status)};
}

void Link::sync(std::string_view after) {
  put(make_request(FrontEndRequest::get_features));
  const RawReply reply = next_reply(fmt::format("GET_FEATURES after {}", after));
  if (reply.header.request == static_cast<std::uint32_t>(FrontEndRequest::get_features)) return;
  throw Decided{failed("a reply to {} of {} bytes (value {}) that nobody asked for, after {}",
                       name_of(reply.header.request), reply.payload.size(), reply.number(), after)};
}

void Link::negotiate_protocol(ProtocolFeatureSet wanted) {
  const auto offered =
      ProtocolFeatureSet(need(get_u64(FrontEndRequest::get_protocol_features), "GET_PROTOCOL_FEATURES"));
  if (!offered.has_all(wanted)) throw Decided{not_applicable("{}: not offered", to_string(wanted.without(offered)))};
  put(make_request(FrontEndRequest::set_protocol_features, U64{wanted.bits()}));
  reply_ack_ = wanted.has(ProtocolFeature::reply_ack);
}

Fate Link::outcome_of(Message message) {
  const std::uint32_t request = message.request();
  const bool sent = send(reply_ack_ ? asking(std::move(message)) : std::move(message)).ok();
  if (!sent || !send(make_request(FrontEndRequest::get_features))) return Fate::disconnected;
  const auto reply = read_raw();
  if (!reply && reply.error().code != ErrorCode::timed_out) return Fate::disconnected;
  if (!reply) throw Decided{failed("after {}: {}", name_of(request), reply.error().message)};
  if (reply->header.request != request) return Fate::ignored;
  // Eight bytes are an acknowledgement, none an error; any other reply says that the request was taken.
  const bool refused = reply->payload.size() == sizeof(U64) ? reply->number() != 0 : reply->payload.empty();
  return refused ? Fate::refused : Fate::accepted;
}

bool Link::put_bytes(std::span<const std::byte> bytes, const FdList& fds) { return write_all(fd(), bytes, fds).ok(); }

void Link::wait_until_read() {
  const auto end = Clock::now() + quiet_time;
  int unread = 1;
  while (::ioctl(fd(), SIOCOUTQ, &unread) == 0 && unread != 0 && Clock::now() < end)
    std::this_thread::sleep_for(std::chrono::microseconds(100));  // a socket has no event for it
}

}  // namespace vhostx::tools::probe
