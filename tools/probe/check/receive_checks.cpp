// SPDX-License-Identifier: BSD-3-Clause
// Frames that arrive at a guest. They need something that makes the back-end send: see feed.hpp.
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/feed.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

Verdict delivered(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  const auto arrival = feed.until_arrival();
  if (arrival.bytes.size() != 64) return failed("64 bytes were sent, {} arrived", arrival.bytes.size());
  return passed("64 bytes, the same that were sent");
}

Verdict header_of_one_buffer(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  const auto arrival = feed.until_arrival();
  return arrival.buffers == 1 ? passed("num_buffers 1") : failed("num_buffers {}", arrival.buffers);
}

Verdict length_counts_header(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  const auto arrival = feed.until_arrival();
  const auto expected = guest.net_header_bytes() + 64;
  if (arrival.first_length != expected) return failed("used length {}, {} expected", arrival.first_length, expected);
  return passed("used length {}: header and frame", expected);
}

Verdict spread_over_buffers(const Subject& subject) {
  Guest guest(subject, {.features = {VirtioFeature::net_mrg_rxbuf}, .receive_bytes = 32});
  Feed feed(guest);
  guest.start();
  const auto arrival = feed.until_arrival();  // its bytes are what was sent
  const unsigned expected = (guest.net_header_bytes() + 64 + 31) / 32;
  if (arrival.buffers != expected)
    return failed("64 bytes in buffers of 32: num_buffers {}, {} expected", arrival.buffers, expected);
  return passed("64 bytes in {} buffers of 32", arrival.buffers);
}

Verdict call_on_receive(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  feed.until_arrival();
  feed.settle();
  guest.receive().drain_call();
  feed.until_arrival();
  return guest.await_call(guest.receive().call_fd()) ? passed("a frame and a call") : failed("a frame without a call");
}

Verdict disabled_untouched(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  feed.until_arrival();
  guest.enable(0, false);
  guest.link().sync("SET_VRING_ENABLE 0");
  feed.settle();
  feed.offer();
  feed.offer();
  if (!guest.stays_unused(0)) return failed("a frame arrived in a disabled receive ring");
  guest.enable(0, true);
  feed.until_arrival();
  return passed("no frame in {} ms while disabled, frames before and after", quiet_time.count());
}

Verdict stopped_receive_untouched(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  feed.until_arrival();
  const auto base = guest.stop(0);
  feed.settle();
  feed.offer();
  if (!guest.stays_unused(0)) return failed("a frame arrived in a stopped receive ring");
  guest.restart(0, base);
  feed.until_arrival();
  return passed("no frame in {} ms while stopped, frames again from base {} on", quiet_time.count(), base);
}

Verdict enabled_without_protocol_features(const Subject& subject) {
  Guest guest(subject, {.protocol_features = false});
  Feed feed(guest);
  guest.start();
  feed.until_arrival();
  return passed("a frame arrived, without SET_VRING_ENABLE");
}

Verdict memory_exchanged(const Subject& subject) {
  Guest guest(subject, {});
  Feed feed(guest);
  guest.start();
  feed.until_arrival();
  feed.settle();
  need(guest.memory().replace_files(), "other files");
  guest.share_memory();
  guest.link().sync("SET_MEM_TABLE");
  feed.until_arrival();
  return passed("a frame arrived in the new table's memory");
}

Verdict rarp_is_broadcast(const Subject& subject) {
  need_net(subject);
  need_offered(subject, ProtocolFeature::rarp);
  if (subject.second.empty()) return not_applicable("--second names no port at which it could be seen");
  Subject other = subject;
  other.path = subject.second;
  Guest listener(other, {});
  listener.start();
  Guest guest(subject, {.protocol = {ProtocolFeature::rarp}});
  guest.start();
  guest.send();
  guest.await_sent("a ring that runs");
  constexpr std::uint64_t mac = 0x01736f687602;  // 02:76:68:6f:73:01
  guest.link().change(make_request(Request::send_rarp, U64{mac}));
  const bool seen = listener.wait([&] {
    const auto arrival = listener.take_arrival();
    return arrival && arrival->bytes.size() >= 42 && arrival->bytes[12] == 0x80 && arrival->bytes[13] == 0x35;
  });
  return seen ? passed("a RARP frame at the other port") : failed("no RARP frame at the other port");
}

}  // namespace

void add_receive_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("receive.") + id, section, title, run});
  };
  add("delivered", "VIRTIO 1.2, 5.1.6.3", "a frame arrives as it was sent", delivered);
  add("num-buffers", "VIRTIO 1.2, 5.1.6.4.1", "without mergeable buffers num_buffers is 1", header_of_one_buffer);
  add("used-length", "VIRTIO 1.2, 2.7.8", "the used length counts header and frame", length_counts_header);
  add("mergeable", "VIRTIO 1.2, 5.1.6.4.1", "a frame spreads over small buffers, and num_buffers says how many",
      spread_over_buffers);
  add("call-signalled", "VIRTIO 1.2, 2.7.7", "a frame that arrives is followed by a call", call_on_receive);
  add("disabled-untouched", "Ring states", "a disabled receive ring is not touched", disabled_untouched);
  add("stopped-untouched", "Ring states", "a stopped receive ring is not touched, and starts again at its base",
      stopped_receive_untouched);
  add("enabled-without-protocol-features", "Ring states", "without bit 30 a receive ring starts enabled",
      enabled_without_protocol_features);
  add("memory-exchanged", "VHOST_USER_SET_MEM_TABLE", "a ring that runs follows a new memory table", memory_exchanged);
  add("rarp", "VHOST_USER_SEND_RARP", "SEND_RARP announces the guest to the network", rarp_is_broadcast);
}

}  // namespace vhostx::tools::probe
