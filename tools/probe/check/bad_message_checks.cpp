// SPDX-License-Identifier: BSD-3-Clause
// Headers and lengths that are wrong, messages that end early, descriptors that are too many, missing or of another
// kind.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "tools/probe/check/bad_input.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr auto set_features_id = static_cast<std::uint32_t>(Request::set_features);

UniqueFd event() { return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
UniqueFd file() {
  UniqueFd made(::memfd_create("vhostx-file", MFD_CLOEXEC));
  if (!made || ::ftruncate(made.get(), 4096) != 0) throw Decided{failed("no memory file")};
  return made;
}
UniqueFd pipe_end() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Decided{failed("no pipe")};
  const UniqueFd other(ends[0]);
  return UniqueFd(ends[1]);
}

Message with_descriptor(Message message, UniqueFd fd) {
  message.add_fd(std::move(fd));
  return message;
}

// ---- messages whose header the codec would not make
Verdict raw(const Subject& subject, const Header& header, std::size_t payload_bytes, Owed owed) {
  Fate answer = Fate::ignored;
  {
    Link link = Link::open(subject);
    std::vector<std::byte> bytes(message_header_bytes + payload_bytes);
    const auto encoded = encode_header(header);
    std::copy(encoded.begin(), encoded.end(), bytes.begin());
    const bool sent = link.put_bytes(bytes);
    const bool asked = sent && link.send(make_request(Request::get_features)).ok();
    // Whatever comes back: what counts is the next connection.
    const bool answered = asked && link.receive_reply().ok();
    answer = answered ? Fate::ignored : Fate::disconnected;
  }
  return judge(subject, answer, owed);
}

template <std::uint32_t request, std::uint32_t flags, std::uint32_t size, std::size_t sent>
Verdict raw_message(const Subject& subject) {
  return raw(subject, {request, flags, size}, sent, Owed::survival);
}

template <std::uint32_t request>
Message unknown(Guest&) {
  return make_message({request, Header::version_1, 0}, {});
}

template <Request request, std::size_t bytes>
Message of_length(Guest&) {
  static constexpr std::array<std::byte, bytes> payload{};
  return make_message({static_cast<std::uint32_t>(request), Header::version_1, bytes}, payload);
}

Verdict ends_inside(const Subject& subject, std::size_t bytes_sent) {
  {
    Link link = Link::open(subject);
    const auto bytes = encode(make_request(Request::set_features, U64{0}));
    if (!link.put_bytes(std::span(bytes).first(bytes_sent))) return failed("the connection was closed before");
  }
  return judge(subject, Fate::ignored, Owed::survival);
}
Verdict ends_in_header(const Subject& subject) { return ends_inside(subject, 7); }
Verdict ends_in_payload(const Subject& subject) { return ends_inside(subject, message_header_bytes + 3); }

/// A message that never ends must not keep others waiting after its connection has.
Verdict dribbles(const Subject& subject) {
  Link slow = Link::open(subject);
  const auto bytes = encode(make_request(Request::set_features, U64{0}));
  if (!slow.put_bytes(std::span(bytes).first(5))) return failed("the connection was closed before");
  slow.disconnect();
  return judge(subject, Fate::ignored, Owed::survival);
}

/// Without REPLY_ACK nobody may ask for an acknowledgement, and none may come.
Verdict need_reply_unnegotiated(const Subject& subject) {
  Link link = Link::open(subject);
  link.put(asking(make_request(Request::set_owner)));
  link.put(make_request(Request::get_features));
  const RawReply reply = link.next_reply("GET_FEATURES");
  if (reply.header.request == static_cast<std::uint32_t>(Request::set_owner))
    return failed("SET_OWNER was acknowledged though REPLY_ACK was not negotiated");
  return passed("no acknowledgement");
}

/// More descriptors than any message may have.
Verdict descriptors_in_excess(const Subject& subject) {
  {
    Link link = Link::open(subject);
    FdList fds;
    for (std::size_t i = 0; i < fds_max; ++i) fds.add(event());
    for (int i = 0; i < 16; ++i)
      if (!link.put_bytes(encode(make_request(Request::get_features)), fds)) break;
  }
  return judge(subject, Fate::ignored, Owed::survival);
}

// ---- descriptors
Message kick_is_file(Guest&) { return with_descriptor(make_request(Request::set_vring_kick, U64{0}), file()); }
Message call_is_file(Guest&) { return with_descriptor(make_request(Request::set_vring_call, U64{0}), file()); }
Message call_is_pipe(Guest&) { return with_descriptor(make_request(Request::set_vring_call, U64{0}), pipe_end()); }
Message kick_without(Guest&) { return make_request(Request::set_vring_kick, U64{0}); }
Message kick_with_both(Guest&) {
  return with_descriptor(make_request(Request::set_vring_kick, U64{vring_no_fd}), event());
}
Message kick_with_two(Guest&) {
  return with_descriptor(with_descriptor(make_request(Request::set_vring_kick, U64{0}), event()), event());
}
Message number_with_descriptor(Guest&) {
  return with_descriptor(make_request(Request::set_vring_num, VringState{0, 64}), event());
}
Message channel_is_event(Guest&) { return with_descriptor(make_request(Request::set_backend_req_fd), event()); }
Message channel_without(Guest&) { return make_request(Request::set_backend_req_fd); }

constexpr const char* header_section = "Header";
constexpr const char* kick_section = "VHOST_USER_SET_VRING_KICK";
constexpr const char* call_section = "VHOST_USER_SET_VRING_CALL";

void add_raw(Checks& checks) {
  const auto add = [&](const char* id, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string(bad_input_group) + "." + id, header_section, title, run});
  };
  constexpr std::uint32_t v1 = Header::version_1;
  add("version-0", "a message of version 0", raw_message<set_features_id, 0, 8, 8>);
  add("version-2", "a message of version 2", raw_message<set_features_id, 2, 8, 8>);
  add("reply-flag", "a request with the reply flag", raw_message<set_features_id, v1 | Header::reply, 8, 8>);
  add("flags-reserved", "a request with all reserved flags", raw_message<set_features_id, 0xfffffff1, 8, 8>);
  add("size-4gib", "a message that says to have 4 GiB", raw_message<set_features_id, v1, 0xffffffff, 64>);
  add("size-64kib", "a message of 64 KiB", raw_message<set_features_id, v1, 65536, 65536>);
  add("ends-in-header", "a header that ends early", ends_in_header);
  add("ends-in-payload", "a payload that ends early", ends_in_payload);
  add("dribbles", "a message that stays unfinished", dribbles);
  add("need-reply-unnegotiated", "NEED_REPLY without REPLY_ACK is not acknowledged", need_reply_unnegotiated);
  add("descriptors-in-excess", "eight descriptors with messages that have none", descriptors_in_excess);
}

}  // namespace

void add_bad_message_checks(Checks& checks) {
  add_raw(checks);
  const char* const types = "Front-end message types";
  const auto add = [&](const char* id, const char* section, const char* title, Message (*make)(Guest&)) {
    add_wrong_message(checks, {id, section, title, Owed::refusal, make, {}, true});
  };
  add("request-0", types, "request number 0", unknown<0>);
  add("request-unknown", types, "a request number that nobody has defined", unknown<12345>);
  add("request-largest", types, "request number 4294967295", unknown<0xffffffff>);
  add("features-too-short", types, "SET_FEATURES of 4 bytes", of_length<Request::set_features, 4>);
  add("features-too-long", types, "SET_FEATURES of 16 bytes", of_length<Request::set_features, 16>);
  add("ring-state-too-short", types, "SET_VRING_NUM of 4 bytes", of_length<Request::set_vring_num, 4>);
  add("addresses-too-short", types, "SET_VRING_ADDR of 8 bytes", of_length<Request::set_vring_addr, 8>);
  add("kick-is-file", kick_section, "a file in place of the kick eventfd", kick_is_file);
  add("kick-without-descriptor", kick_section, "neither a kick descriptor nor the no-fd bit", kick_without);
  add("kick-with-both", kick_section, "a kick descriptor and the no-fd bit", kick_with_both);
  add("kick-with-two", kick_section, "two kick descriptors", kick_with_two);
  add("call-is-file", call_section, "a file in place of the call eventfd", call_is_file);
  add("call-is-pipe", call_section, "a pipe without a reader in place of the call eventfd", call_is_pipe);
  add("number-with-descriptor", types, "SET_VRING_NUM with a descriptor", number_with_descriptor);
  const GuestPlan channel{.protocol = {ProtocolFeature::backend_req}};
  const char* const channel_section = "VHOST_USER_SET_BACKEND_REQ_FD";
  add_wrong_message(checks, {"channel-is-event", channel_section, "an eventfd in place of the channel's socket",
                             Owed::survival, channel_is_event, channel});
  add_wrong_message(checks, {"channel-without-descriptor", channel_section, "SET_BACKEND_REQ_FD without a descriptor",
                             Owed::refusal, channel_without, channel});
}

}  // namespace vhostx::tools::probe
