// SPDX-License-Identifier: BSD-3-Clause
// Messages are a stream of bytes: where they are cut says nothing.
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

void put_whole(Link& link, std::span<const std::byte> bytes) {
  if (!link.put_bytes(bytes)) throw Decided{failed("the back-end closed the connection")};
}

Verdict one_byte_at_a_time(const Subject& subject) {
  Link link = Link::open(subject);
  const auto bytes = encode(make_request(Request::set_features, U64{FeatureSet{VirtioFeature::version_1}.bits()}));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    put_whole(link, std::span(bytes).subspan(at, 1));
    link.wait_until_read();
  }
  link.sync("SET_FEATURES, one byte at a time");
  return passed("SET_FEATURES in {} writes", bytes.size());
}

Verdict many_in_one_write(const Subject& subject) {
  constexpr unsigned count = 32;
  Link link = Link::open(subject);
  std::vector<std::byte> bytes;
  for (unsigned i = 0; i < count; ++i) {
    const auto one = encode(make_request(Request::get_features));
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  put_whole(link, bytes);
  for (unsigned i = 0; i < count; ++i) {
    const RawReply reply = link.next_reply("GET_FEATURES");
    if (reply.number() != subject.features.bits()) return failed("reply {} is {:#x}", i, reply.number());
  }
  return passed("{} requests in one write, {} replies", count, count);
}

Verdict answers_in_order(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Link link = Link::open(subject);
  for (const Request request : {Request::get_features, Request::get_protocol_features, Request::get_features})
    link.put(make_request(request));
  for (const Request request : {Request::get_features, Request::get_protocol_features, Request::get_features}) {
    const RawReply reply = link.next_reply("three questions at once");
    if (reply.header.request != static_cast<std::uint32_t>(request))
      return failed("{} was answered out of turn", name_of(reply.header.request));
  }
  return passed("three answers in the order of the questions");
}

Verdict descriptor_with_first_byte(const Subject& subject) {
  Guest guest(subject, {.share = false});
  Message message = make_memory_table(std::vector{guest.memory().description(0)});
  FdList fds;
  fds.add(duplicate(guest.memory().fd(0)));
  const auto bytes = encode(guest.acknowledges() ? asking(std::move(message)) : std::move(message));
  // A descriptor comes with the first byte of what was written with it; the rest comes later.
  if (!guest.link().put_bytes(std::span(bytes).first(message_header_bytes), fds)) return failed("the back-end left");
  guest.link().wait_until_read();
  put_whole(guest.link(), std::span(bytes).subspan(message_header_bytes));
  if (guest.acknowledges() && guest.link().next_reply("SET_MEM_TABLE").number() != 0)
    return failed("SET_MEM_TABLE in two writes was refused");
  guest.link().sync("SET_MEM_TABLE in two writes");
  return passed("header with descriptor, then payload");
}

}  // namespace

void add_stream_checks(Checks& checks) {
  checks.push_back({"stream.one-byte-at-a-time", "Header", "a message may come in pieces", one_byte_at_a_time});
  checks.push_back({"stream.many-in-one-write", "Header", "several messages may come at once", many_in_one_write});
  checks.push_back(
      {"stream.replies-in-order", "Communication", "questions are answered in their order", answers_in_order});
  checks.push_back({"stream.descriptor-with-header", "Communication",
                    "a descriptor comes with the first byte, payload may follow later", descriptor_with_first_byte});
}

}  // namespace vhostx::tools::probe
