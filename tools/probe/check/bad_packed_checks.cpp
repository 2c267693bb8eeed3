// SPDX-License-Identifier: BSD-3-Clause
// What is wrong in packed rings alone: wrap counters, chains without an end, event structures, places. What is wrong in
// rings of both kinds is in bad_driver_checks.cpp.
#include <vector>

#include "base/event_fd.hpp"
#include "tools/probe/check/bad_input.hpp"
#include "tools/probe/check/raw_driver.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;
using virtqueue::Descriptor;
using virtqueue::PackedEvent;

namespace {

constexpr std::uint16_t other_lap = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;

RawPacked honest(Guest& guest, std::uint16_t flags = 0) {
  const Descriptor one = honest_descriptor(guest);
  return {one.address, one.length, 0, flags};
}
void show_all(Guest& guest, std::size_t count, std::uint16_t flags) {
  show_packed(guest, std::vector<RawPacked>(count, honest(guest, flags)));
}

void wrap_wrong(Guest& guest) { show_all(guest, 8, other_lap); }
void used_already(Guest& guest) {
  show_all(guest, 8, packed_place(guest).wrap() ? virtqueue::packed_used_flag : virtqueue::packed_avail_flag);
}
void chain_endless(Guest& guest) { show_all(guest, 64, Descriptor::next_flag); }
void chain_unfinished(Guest& guest) { show_all(guest, 1, Descriptor::next_flag); }
void whole_lap(Guest& guest) { show_all(guest, 64, 0); }
void indirect_in_chain(Guest& guest) {
  show_all(guest, 2, static_cast<std::uint16_t>(Descriptor::next_flag | Descriptor::indirect_flag));
}

PackedEvent driver_event(Guest& guest) {
  return PackedEvent(reinterpret_cast<const std::uint8_t*>(guest.transmit().addresses(1).available));
}
template <std::uint16_t place, std::uint16_t flags>
void event_of(Guest& guest) {
  driver_event(guest).store(virtqueue::NoMarks(), {{place}, flags});
  show_all(guest, 8, 0);
}

Verdict packed_error_signalled(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::ring_packed}});
  const EventFd error = need(EventFd::create(), "an eventfd");
  guest.set_fd(Request::set_vring_err, 1, error.get());
  guest.start();
  guest.send(4);
  guest.await_sent("a ring before the lie");
  chain_endless(guest);
  guest.transmit().kick();
  if (!guest.await_call(error.get())) return failed("the error descriptor was not signalled");
  return passed("the error descriptor was signalled");
}

void add_packed_lies(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Lie tell, FeatureSet more = {}) {
    add_lie(checks, std::string("packed-") + id, section, std::string("packed rings: ") + title,
            {.features = more | FeatureSet{VirtioFeature::ring_packed}}, tell);
  };
  const char* const flags = "VIRTIO 1.2, 2.8.1";
  const char* const chains = "VIRTIO 1.2, 2.8.6";
  const char* const events = "VIRTIO 1.2, 2.8.10";
  add("wrap-wrong", flags, "descriptors with the flags of another lap", wrap_wrong);
  add("used-already", flags, "descriptors that are marked as used", used_already);
  add("chain-endless", chains, "a chain that never ends, round the whole ring", chain_endless);
  add("chain-unfinished", chains, "a chain whose next descriptor is not available", chain_unfinished);
  add("whole-lap", chains, "a whole lap that has one id", whole_lap);
  add("indirect-in-chain", "VIRTIO 1.2, 2.8.7", "a chain of indirect tables that were not negotiated",
      indirect_in_chain);
  add("event-outside", events, "a driver event outside of the ring", event_of<0x8000 | 4711, PackedEvent::at_place>,
      {VirtioFeature::event_idx});
  add("event-unnegotiated", events, "a driver event at a place, without VIRTIO_F_EVENT_IDX",
      event_of<0x8000, PackedEvent::at_place>);
  add("event-flags", events, "a driver event whose every bit is set", event_of<0xffff, 0xffff>);
}

// ---- numbers and addresses

template <std::uint32_t size>
Message packed_size(Guest&) {
  return make_request(Request::set_vring_num, VringState{0, size});
}
/// The ring's addresses as `change` has them, and then a kick.
Message kick_packed_at(Guest& guest, void (*change)(VringAddress&, std::uint64_t end)) {
  VringAddress addresses = guest.ring(0).addresses(0);
  const MemoryRegion region = guest.memory().description(0);
  change(addresses, region.front_end_address + region.size);
  guest.link().put(make_request(Request::set_vring_addr, addresses));
  Message message = make_request(Request::set_vring_kick, U64{0});
  guest.ring(0).kick();
  message.add_fd(duplicate(guest.ring(0).kick_fd()));
  return message;
}
Message ring_over_the_end(Guest& guest) {
  return kick_packed_at(guest, [](VringAddress& at, std::uint64_t end) { at.descriptor = end - 16; });
}
Message driver_event_nowhere(Guest& guest) {
  return kick_packed_at(guest, [](VringAddress& at, std::uint64_t) { at.available = ~std::uint64_t{0} - 3; });
}
Message device_event_over_the_end(Guest& guest) {
  return kick_packed_at(guest, [](VringAddress& at, std::uint64_t end) { at.used = end; });
}
Message device_event_unaligned(Guest& guest) {
  return kick_packed_at(guest, [](VringAddress& at, std::uint64_t) { at.used += 2; });
}
Message base_behind_the_ring(Guest& guest) {
  guest.link().put(make_request(Request::set_vring_base, VringState{0, 0xffff'ffff}));
  return kick_packed_at(guest, [](VringAddress&, std::uint64_t) {});
}

void add_packed_values(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Owed owed, Message (*make)(Guest&)) {
    add_wrong_message(checks, {id, section, title, owed, make, {.features = {VirtioFeature::ring_packed}}});
  };
  const char* const state = "Vring state description";
  add("packed-size-0", state, "packed rings: a ring of 0 entries", Owed::refusal, packed_size<0>);
  add("packed-size-32769", state, "packed rings: a ring of 32769 entries", Owed::refusal, packed_size<32769>);
  // Without acknowledgements, so that SET_VRING_ADDR has none that would have to be read.
  const auto add_addresses = [&](const char* id, const char* section, const char* title, Message (*make)(Guest&)) {
    const GuestPlan plan{.features = {VirtioFeature::ring_packed}, .protocol_features = false};
    add_wrong_message(checks, {id, section, title, Owed::survival, make, plan, true});
  };
  const char* const address = "VHOST_USER_SET_VRING_ADDR";
  add_addresses("packed-ring-over-the-end", address, "packed rings: a descriptor ring that reaches over the end",
                ring_over_the_end);
  add_addresses("packed-driver-event-outside", address, "packed rings: a driver event outside of the guest's memory",
                driver_event_nowhere);
  add_addresses("packed-device-event-outside", address, "packed rings: a device event behind the end of its region",
                device_event_over_the_end);
  add_addresses("packed-device-event-unaligned", address, "packed rings: a device event at an odd word",
                device_event_unaligned);
  add_addresses("packed-base-outside", "Vring descriptor indices for packed virtqueues",
                "packed rings: a base behind the ring's end", base_behind_the_ring);
}

}  // namespace

void add_bad_packed_checks(Checks& checks) {
  add_packed_lies(checks);
  checks.push_back({std::string(bad_input_group) + ".packed-error-signalled", "VHOST_USER_SET_VRING_ERR",
                    "packed rings: a chain that never ends is signalled to the error descriptor",
                    packed_error_signalled});
  add_packed_values(checks);
}

}  // namespace vhostx::tools::probe
