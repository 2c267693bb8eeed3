// SPDX-License-Identifier: BSD-3-Clause
// GPA_ADDRESSES: regions and rings are named by guest addresses. What if they are not, or if the bit comes and goes.
#include "tests/hostile/attacks/extra_memory.hpp"
#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint64_t one_page = 4096;
constexpr std::uint64_t first_free = std::uint64_t{1} << 40;
constexpr std::uint64_t last_address = ~std::uint64_t{0};

const ProtocolFeatureSet own_addresses{P::reply_ack, P::configure_mem_slots};
const ProtocolFeatureSet guest_addresses = own_addresses | ProtocolFeatureSet{P::gpa_addresses};
const GuestPlan with_guest_addresses{.protocol = guest_addresses};

MemoryRegion named(std::uint64_t guest, std::uint64_t bytes, std::uint64_t front_end) {
  return {guest, bytes, front_end, 0};
}
Message memory_table_of(const std::vector<MemoryRegion>& regions) {
  Message table = make_memory_table(regions);
  for (const MemoryRegion& one : regions) table.add_fd(memory_file(one.size));
  return table;
}
Message choice(ProtocolFeatureSet features) { return number(Request::set_protocol_features, features.bits()); }

/// Rings run; what comes is refused; they run on as if nothing had been asked.
template <typename Make>
Group::Run refused_on_running_rings(const GuestPlan& of, Make make) {
  return [=](Attacker& attacker) {
    Guest& guest = attacker.running(of);
    attacker.wrong(make());
    guest.send(8);
    guest.await_sent("the rings, after what was refused");
  };
}

void add_regions(Group& group) {
  group.add(
      "regions-overlap", refused("overlap in guest addresses"), refused_on_running_rings(with_guest_addresses, [] {
        return memory_table_of(
            {named(first_free, 2 * one_page, first_free), named(first_free + one_page, 2 * one_page, 2 * first_free)});
      }));
  group.add("equal-front-end-addresses-without-the-bit", refused("overlap in front-end addresses"),
            refused_on_running_rings({.protocol = own_addresses}, [] {
              return memory_table_of({named(first_free, one_page, 0), named(2 * first_free, one_page, 0)});
            }));
  group.add("front-end-addresses-of-any-kind", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running(with_guest_addresses);
    std::uint64_t at = first_free;
    for (const std::uint64_t own :
         {last_address, last_address - one_page, guest.memory().description(0).front_end_address, first_free})
      for (int i = 0; i < 4; ++i, at += 2 * one_page)
        attacker.link().change(add_slot(named(at, one_page, own), memory_file(one_page)));
    guest.send(8);
    guest.await_sent("beside slots with any front-end address");
  });
  group.add("ring-at-a-front-end-address", refused("in no memory region"), [](Attacker& attacker) {
    Guest& guest = attacker.running(with_guest_addresses);
    guest.describe(out_of, guest.stop(out_of));
    attacker.link().change(make_request(Request::set_vring_addr, guest.ring(out_of).addresses(out_of)));
    attacker.wrong(with_fd(number(Request::set_vring_kick, out_of), event_fd()));
  });
  group.add("ring-at-a-guest-address-without-the-bit", refused("in no memory region"), [](Attacker& attacker) {
    Guest& guest = attacker.running({.protocol = own_addresses});
    guest.describe(out_of, guest.stop(out_of));
    VringAddress addresses = guest.ring(out_of).addresses(out_of);
    for (std::uint64_t* const address : {&addresses.descriptor, &addresses.available, &addresses.used})
      *address = attacker.guest_address(reinterpret_cast<const void*>(*address));
    attacker.link().change(make_request(Request::set_vring_addr, addresses));
    attacker.wrong(with_fd(number(Request::set_vring_kick, out_of), event_fd()));
  });
}

void add_choices(Group& group) {
  group.add("chosen-while-rings-run", refused("while rings run"),
            refused_on_running_rings({.protocol = own_addresses}, [] { return choice(guest_addresses); }));
  group.add("given-up-while-rings-run", refused("while rings run"),
            refused_on_running_rings(with_guest_addresses, [] { return choice(own_addresses); }));
  group.add("chosen-after-memory", refused("GPA_ADDRESSES is negotiated after guest memory was shared"),
            [](Attacker& attacker) {
              attacker.guest({.protocol = own_addresses});
              attacker.wrong(choice(guest_addresses));
            });
  group.add("given-up-after-memory", refused("GPA_ADDRESSES is dropped after guest memory was shared"),
            [](Attacker& attacker) {
              attacker.guest(with_guest_addresses);
              attacker.wrong(choice(own_addresses));
            });
  group.add("toggled-again-and-again", harmless(), [](Attacker& attacker) {
    GuestPlan unshared = with_guest_addresses;
    unshared.share = false;
    Guest& guest = attacker.guest(unshared);
    for (int i = 0; i < 200; ++i) {
      attacker.link().change(choice(own_addresses));
      attacker.link().change(add_slot(named(first_free, one_page, one_page), memory_file(one_page)));
      attacker.link().change(remove_slot(named(first_free, one_page, one_page)));
      attacker.link().change(choice(guest_addresses));
      attacker.link().change(add_slot(named(first_free, one_page, last_address), memory_file(one_page)));
      attacker.link().change(remove_slot(named(first_free, one_page, one_page)));
    }
    guest.share_memory();
    guest.start();
    guest.send(8);
    guest.await_sent("after all that");
  });
}

}  // namespace

void add_guest_address_attacks(Attacks& attacks) {
  Group group(attacks, "guest-addresses");
  add_regions(group);
  add_choices(group);
}

}  // namespace vhostx::hostile
