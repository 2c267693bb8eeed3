// SPDX-License-Identifier: BSD-3-Clause
// When a ring starts and stops, when it is enabled, and at which index it stands.
#include "base/event_fd.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint32_t tx = 1;

/// An index of a ring, and of a packed one in its first lap.
std::uint16_t place(const Subject& subject, std::uint16_t index) noexcept {
  return static_cast<std::uint16_t>(index | (subject.packed ? 0x8000 : 0));
}

/// All rings described, armed and enabled as said; nobody has kicked.
void prepare(Guest& guest, bool enabled) {
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    guest.describe(vring, guest.ring(vring).base());
    guest.arm(vring);
    if (enabled) guest.enable(vring);
  }
}

/// A guest whose frames are taken.
void start_and_send(Guest& guest, unsigned count = 4) {
  guest.start();
  guest.send(count);
  guest.await_sent("a ring that runs");
}

/// Shows frames without kicking.
void show(Guest& guest, unsigned count) {
  DriverRing& ring = guest.transmit();
  for (std::uint16_t chain = 0; chain < count; ++chain) ring.post(chain, guest.net_header_bytes() + 60);
  ring.publish();
}

// "Ring states" has had two editions, and a back-end may keep to either.
constexpr const char* newer_edition = "as the text of 2026 has it";
constexpr const char* older_edition = "as the text before 2026 has it";

/// Frames were shown after SET_VRING_KICK or before, and nobody has kicked: all are used now, or after the first kick.
Verdict start_of(Guest& guest) {
  guest.link().sync("SET_VRING_KICK");
  if (!guest.stays_unused(tx)) {
    guest.await_sent("a ring that began without a kick");
    return passed("frames used without a kick: the ring starts at SET_VRING_KICK, {}", newer_edition);
  }
  guest.receive().kick();
  guest.transmit().kick();
  guest.await_sent("after the kick");
  return passed("nothing used in {} ms before the kick, all after it, {}", quiet_time.count(), older_edition);
}

Verdict starts_on_kick(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  prepare(guest, true);
  show(guest, 4);
  return start_of(guest);
}

Verdict starts_with_buffers(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  show(guest, 4);
  prepare(guest, true);
  return start_of(guest);
}

/// As QEMU does since 11.1: a kick of the front-end's own behind each SET_VRING_KICK, before the call descriptor comes.
Verdict kick_injected(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  show(guest, 4);
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    guest.enable(vring);
    guest.describe(vring, guest.ring(vring).base());
    guest.set_fd(Request::set_vring_kick, vring, guest.ring(vring).kick_fd());
    guest.ring(vring).kick();
    guest.set_fd(Request::set_vring_call, vring, guest.ring(vring).call_fd());
  }
  guest.await_sent("after the front-end's kick");
  guest.send(4);
  guest.await_sent("after that kick, and the driver's");
  return passed("what waited was used after the front-end's kick, the rest after the driver's");
}

/// The same where nothing waits.
Verdict kick_injected_empty(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    guest.describe(vring, guest.ring(vring).base());
    guest.arm(vring);
    guest.ring(vring).kick();
    guest.enable(vring);
  }
  guest.link().sync("SET_VRING_KICK");
  guest.send(4);
  guest.await_sent("frames sent after the front-end's kick");
  return passed("frames used that were sent after the front-end had kicked an empty ring");
}

Verdict disabled_tx_drained(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Guest guest(subject, {});
  prepare(guest, false);
  guest.receive().kick();
  show(guest, 4);
  guest.transmit().kick();
  const unsigned used = guest.await_sent("a started, disabled transmit ring");
  return passed("{} frames used by a ring that was never enabled", used);
}

Verdict disabled_later_tx_drained(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Guest guest(subject, {});
  start_and_send(guest);
  guest.enable(tx, false);
  guest.send(4);
  const unsigned used = guest.await_sent("a ring that was disabled while it ran");
  return passed("{} frames used after SET_VRING_ENABLE 0", used);
}

Verdict enabled_again(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Guest guest(subject, {});
  start_and_send(guest);
  for (int i = 0; i < 8; ++i) {
    guest.enable(tx, false);
    guest.enable(tx, true);
  }
  guest.send(4);
  guest.await_sent("a ring that was disabled and enabled");
  return passed("frames used after eight times off and on");
}

Verdict runs_without_protocol_features(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.protocol_features = false});
  start_and_send(guest);
  return passed("frames used, without SET_VRING_ENABLE");
}

Verdict stop_stops_one(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest);
  guest.stop(0);
  guest.send(4);
  guest.await_sent("the transmit ring, after GET_VRING_BASE of the receive ring");
  return passed("frames used after the receive ring was stopped");
}

Verdict base_counts(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest, 7);
  const auto base = guest.stop(tx);
  const auto text = text_of_base(guest.packed(), base);
  return guest.is_at(tx, base) ? passed("7 frames used, base {}", text) : failed("7 frames used, base {}", text);
}

Verdict base_unstarted(const Subject& subject) {
  Guest guest(subject, {.first_index = place(subject, 7)});
  guest.describe(0, guest.ring(0).base());
  const auto base = guest.stop(0);
  const auto text = text_of_base(guest.packed(), base);
  return guest.is_at(0, base) ? passed("SET_VRING_BASE and GET_VRING_BASE: {}", text)
                              : failed("{} after SET_VRING_BASE {}", text, guest.ring(0).base());
}

Verdict stopped_is_untouched(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest);
  guest.stop(tx);
  guest.send(4);
  guest.transmit().kick();
  guest.link().sync("GET_VRING_BASE");
  if (!guest.stays_unused(tx)) return failed("a stopped ring's buffers were used");
  return passed("nothing used in {} ms after GET_VRING_BASE", quiet_time.count());
}

/// What the driver showed earlier is no longer a device's to read: it becomes something that cannot be a head, or a
/// buffer that is nowhere.
void spoil_consumed(Guest& guest, unsigned count) {
  const VringAddress at = guest.transmit().addresses(tx);
  for (unsigned i = 0; i < count; ++i)
    if (guest.packed())
      reinterpret_cast<std::uint64_t*>(at.descriptor)[2 * i] = ~std::uint64_t{0};
    else
      reinterpret_cast<std::uint16_t*>(at.available)[2 + i] = 0xffff;
}

Verdict restarts(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest, 7);
  for (unsigned turn = 1; turn <= 3; ++turn) {
    const auto base = guest.stop(tx);
    if (!guest.is_at(tx, base)) return failed("base {} after {} frames", text_of_base(guest.packed(), base), 7 * turn);
    spoil_consumed(guest, 7 * turn);
    guest.restart(tx, base);
    guest.send(7);
    if (guest.await_sent("a ring that was started again") != 7) return failed("more buffers used than sent");
  }
  return passed("three times stopped and started at the base that was returned");
}

Verdict wraps(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.first_index = subject.packed ? place(subject, 63) : std::uint16_t{65535}});
  const auto begin = text_of_base(subject.packed, guest.transmit().base());
  start_and_send(guest, 20);
  const auto base = guest.stop(tx);
  const auto text = text_of_base(guest.packed(), base);
  return guest.is_at(tx, base) ? passed("20 frames from {} on: base {}", begin, text)
                               : failed("20 frames from {} on: base {}", begin, text);
}

Verdict kick_without_descriptor(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest);
  guest.describe(tx, guest.stop(tx));
  guest.set_fd(Request::set_vring_kick, tx, -1);
  guest.enable(tx);
  show(guest, 4);
  guest.await_sent("a ring without a kick descriptor");
  return passed("frames used without a kick");
}

Verdict call_without_descriptor(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest);
  guest.set_fd(Request::set_vring_call, tx, -1);
  guest.send(4);
  guest.await_sent("a ring without a call descriptor");
  return passed("frames used");
}

Verdict kick_before_call(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.post_receive();
  for (std::uint32_t vring = 0; vring <= tx; ++vring) {
    guest.describe(vring, guest.ring(vring).base());
    guest.set_fd(Request::set_vring_kick, vring, guest.ring(vring).kick_fd());
    guest.enable(vring);
    guest.ring(vring).kick();
  }
  guest.set_fd(Request::set_vring_call, 0, guest.receive().call_fd());
  guest.set_fd(Request::set_vring_call, tx, guest.transmit().call_fd());
  guest.send(4);
  guest.await_sent("a ring whose call descriptor came last");
  if (!guest.await_call(guest.transmit().call_fd())) return failed("the call descriptor was not signalled");
  return passed("the call descriptor that came after the start was signalled");
}

Verdict call_swapped(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  start_and_send(guest);
  const EventFd other = need(EventFd::create(), "an eventfd");
  guest.set_fd(Request::set_vring_call, tx, other.get());
  guest.link().sync("SET_VRING_CALL");
  // A call for what was used before may come to the new one at once, and may be on its way to the old one: once.
  for (int round = 0; round < 3; ++round) {
    other.drain();
    guest.transmit().drain_call();
    guest.send(4);
    guest.await_sent("a ring whose call descriptor was exchanged");
    if (!guest.await_call(other.get())) return failed("the new call descriptor was not signalled");
    if (!Guest::is_signalled(guest.transmit().call_fd()))
      return passed("the ring went on, and signalled the new descriptor alone");
  }
  return failed("the old call descriptor was signalled");
}

Verdict second_pair(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::net_mq);
  Guest guest(subject, {.features = {VirtioFeature::net_mq}, .pairs = 2});
  guest.start();
  guest.send(4, 1);
  guest.await_sent("the second pair's transmit ring", 1);
  guest.send(4, 0);
  guest.await_sent("the first pair's transmit ring", 0);
  return passed("frames used on both pairs");
}

Verdict many_toggles(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.start();
  for (int i = 0; i < 16; ++i) {
    guest.send(2);
    guest.set_fd(Request::set_vring_call, tx, guest.transmit().call_fd());
    guest.await_sent("a ring whose call descriptor comes again and again");
  }
  return passed("16 times SET_VRING_CALL under traffic");
}

}  // namespace

void add_ring_state_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("ring.") + id, section, title, run});
  };
  const char* const states = "Ring states";
  const char* const stopping = "VHOST_USER_GET_VRING_BASE";
  const char* const calls = "VHOST_USER_SET_VRING_CALL";
  add("starts-on-kick", states, "a ring starts: at SET_VRING_KICK (2026) or at the first kick (before)",
      starts_on_kick);
  add("starts-with-buffers", states, "the same of one that has buffers before SET_VRING_KICK", starts_with_buffers);
  add("kick-injected", states, "a ring is served after a kick of the front-end's own", kick_injected);
  add("kick-injected-empty", states, "the same of one that has no buffers yet", kick_injected_empty);
  add("disabled-tx-drained", states, "a started transmit ring that is disabled is emptied", disabled_tx_drained);
  add("disabled-later-tx-drained", states, "the same of one that ran before", disabled_later_tx_drained);
  add("enabled-again", states, "a ring that was disabled is enabled again", enabled_again);
  add("enabled-without-protocol-features", states, "without bit 30 rings start enabled",
      runs_without_protocol_features);
  add("stop-stops-one", stopping, "GET_VRING_BASE stops one ring alone", stop_stops_one);
  add("base-counts", stopping, "GET_VRING_BASE returns the next available index", base_counts);
  add("base-unstarted", stopping, "of a ring that never started it is the one that was set", base_unstarted);
  add("stopped-untouched", states, "a stopped ring is not touched", stopped_is_untouched);
  add("restarts-at-base", states, "a ring starts again at the base that was returned", restarts);
  add("index-wraps", "VHOST_USER_SET_VRING_BASE", "indices go on from 65535 to 0", wraps);
  add("kick-without-descriptor", "VHOST_USER_SET_VRING_KICK", "without a kick descriptor a ring is polled",
      kick_without_descriptor);
  add("call-without-descriptor", calls, "a ring runs without a call descriptor", call_without_descriptor);
  add("late-call-signalled", calls, "a call descriptor that comes after the start is signalled", kick_before_call);
  add("call-swapped", calls, "another call descriptor stops no ring", call_swapped);
  add("call-swapped-under-traffic", calls, "the same while frames flow", many_toggles);
  add("second-pair", "Multiple queue support", "a second queue pair works", second_pair);
}

}  // namespace vhostx::tools::probe
