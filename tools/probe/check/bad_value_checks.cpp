// SPDX-License-Identifier: BSD-3-Clause
// Numbers that are out of range.
#include <array>

#include "tools/front_end/config_messages.hpp"
#include "tools/probe/check/bad_input.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

template <Request request, std::uint32_t index, std::uint32_t num>
Message ring_state(Guest&) {
  return make_request(request, VringState{index, num});
}
template <Request request, std::uint64_t value>
Message number(Guest&) {
  return make_request(request, U64{value});
}

Message kick_of_ring_255(Guest& guest) {
  Message message = make_request(Request::set_vring_kick, U64{255});
  message.add_fd(duplicate(guest.ring(0).kick_fd()));
  return message;
}
Message addresses_of_ring_4096(Guest& guest) {
  return make_request(Request::set_vring_addr, guest.ring(0).addresses(4096));
}
Message more_features(Guest& guest) {
  return make_request(Request::set_features, U64{guest.features().bits() | ~guest.subject().features.bits()});
}
Message more_protocol_features(Guest& guest) {
  return make_request(Request::set_protocol_features, U64{~guest.subject().protocol.bits()});
}
Message config_out_of_range(Guest&) {
  const std::array<std::byte, 8> empty{};
  return make_config_request(Request::get_config, {0x10000, 8, 0}, empty);
}

/// A descriptor table that lies where `change` says, and then a kick.
Message kick_at(Guest& guest, void (*change)(VringAddress&, const MemoryRegion&)) {
  VringAddress addresses = guest.ring(0).addresses(0);
  change(addresses, guest.memory().description(0));
  guest.link().put(make_request(Request::set_vring_addr, addresses));
  Message message = make_request(Request::set_vring_kick, U64{0});
  guest.ring(0).kick();
  message.add_fd(duplicate(guest.ring(0).kick_fd()));
  return message;
}
Message table_nowhere(Guest& guest) {
  return kick_at(guest, [](VringAddress& at, const MemoryRegion&) { at.descriptor = 0x1000; });
}
Message avail_nowhere(Guest& guest) {
  return kick_at(guest, [](VringAddress& at, const MemoryRegion&) { at.available = ~std::uint64_t{0} - 4095; });
}
Message used_over_the_end(Guest& guest) {
  return kick_at(guest, [](VringAddress& at, const MemoryRegion& region) {
    at.used = region.front_end_address + region.size - 8;
  });
}
Message table_unaligned(Guest& guest) {
  return kick_at(guest, [](VringAddress& at, const MemoryRegion&) { at.descriptor += 1; });
}

/// Wrong addresses may be refused at SET_VRING_ADDR, at the kick, or the ring does not run: what counts is the next
/// connection.
void add_addresses(Checks& checks) {
  const char* const section = "VHOST_USER_SET_VRING_ADDR";
  const auto add = [&](const char* id, const char* title, Message (*make)(Guest&)) {
    // Without acknowledgements, so that SET_VRING_ADDR has none that would have to be read.
    add_wrong_message(checks, {id, section, title, Owed::survival, make, {.protocol_features = false}, true});
  };
  add("table-outside-memory", "a descriptor table outside of the guest's memory", table_nowhere);
  add("avail-outside-memory", "an available ring outside of the guest's memory", avail_nowhere);
  add("used-over-the-end", "a used ring that reaches over the end of its region", used_over_the_end);
  add("table-unaligned", "a descriptor table at an odd address", table_unaligned);
}

void add_ring_values(Checks& checks) {
  const char* const section = "Vring state description";
  const auto add = [&](const char* id, const char* title, Message (*make)(Guest&)) {
    add_wrong_message(checks, {id, section, title, Owed::refusal, make});
  };
  add("size-0", "a ring of 0 entries", ring_state<Request::set_vring_num, 0, 0>);
  add("size-100", "a ring whose size is no power of two", ring_state<Request::set_vring_num, 0, 100>);
  add("size-65536", "a ring of 65536 entries", ring_state<Request::set_vring_num, 0, 65536>);
  add("size-2147483648", "a ring of 2147483648 entries", ring_state<Request::set_vring_num, 0, 0x80000000>);
  add("base-65536", "a base over 65535", ring_state<Request::set_vring_base, 0, 65536>);
  add("index-number", "SET_VRING_NUM of a ring that is none", ring_state<Request::set_vring_num, 70000, 64>);
  add("index-base", "SET_VRING_BASE of a ring that is none", ring_state<Request::set_vring_base, 0xffffffff, 0>);
  add("index-get-base", "GET_VRING_BASE of a ring that is none", ring_state<Request::get_vring_base, 70000, 0>);
  add("index-enable", "SET_VRING_ENABLE of a ring that is none", ring_state<Request::set_vring_enable, 70000, 1>);
  add("index-kick", "SET_VRING_KICK of a ring that is none", kick_of_ring_255);
  add("index-addresses", "SET_VRING_ADDR of a ring that is none", addresses_of_ring_4096);
  add("enable-2", "SET_VRING_ENABLE 2", ring_state<Request::set_vring_enable, 0, 2>);
}

}  // namespace

void add_bad_value_checks(Checks& checks) {
  add_ring_values(checks);
  add_addresses(checks);
  add_wrong_message(checks, {"features-not-offered", "VHOST_USER_SET_FEATURES", "features that were not offered",
                             Owed::refusal, more_features});
  add_wrong_message(checks, {"protocol-features-not-offered", "VHOST_USER_SET_PROTOCOL_FEATURES",
                             "protocol features that were not offered", Owed::refusal, more_protocol_features});
  add_wrong_message(checks, {"mtu-0",
                             "VHOST_USER_NET_SET_MTU",
                             "an MTU of 0",
                             Owed::refusal,
                             number<Request::net_set_mtu, 0>,
                             {.features = {VirtioFeature::net_mtu}, .protocol = {ProtocolFeature::mtu}}});
  add_wrong_message(checks, {"status-too-large",
                             "VHOST_USER_SET_STATUS",
                             "a status of more than 8 bits",
                             Owed::survival,
                             number<Request::set_status, 0x100>,
                             {.protocol = {ProtocolFeature::status}}});
  add_wrong_message(checks, {"config-out-of-range",
                             "VHOST_USER_GET_CONFIG",
                             "configuration space beyond its end is answered with no payload",
                             Owed::refusal,
                             config_out_of_range,
                             {.protocol = {ProtocolFeature::config}}});
}

}  // namespace vhostx::tools::probe
