// SPDX-License-Identifier: BSD-3-Clause
// A port that lends: packets of 1024 bytes and more are handed on in the guest's own buffers, and the guest does to
// those what it likes. The lies of a driver are told again here, where other code reads its rings.
#include <algorithm>
#include <array>
#include <stdexcept>

#include "tests/hostile/attacks/make.hpp"
#include "tests/hostile/attacks/rewriter.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint32_t lender = 1;
constexpr std::uint32_t large_packet = 12 + 1500;
const GuestPlan large_buffers{.transmit_bytes = 2048};
const GuestPlan large_buffers_and_slots{.protocol = {P::configure_mem_slots}, .transmit_bytes = 2048};

/// So many packets of this size, one a descriptor, beginning at descriptor 0.
void show_large(Attacker& attacker, std::uint16_t count, std::uint32_t bytes = large_packet) {
  std::vector<std::uint16_t> heads;
  for (std::uint16_t i = 0; i < count; ++i) {
    attacker.descriptor(lender, i) = {attacker.guest_address(attacker.guest().transmit().buffer(i)), bytes, 0, 0};
    heads.push_back(i);
  }
  attacker.show(lender, heads);
}

class LendingGroup {
 public:
  LendingGroup(Attacks& attacks, RingKind kind) : group_(attacks, "lending", kind) {}
  Expected lied() const { return group_.lied(); }
  void add(const char* name, Expected expected, Group::Run run) {
    group_.add(name, std::move(expected), std::move(run), "", Socket::lending);
  }

 private:
  Group group_;
};

void add_ends(LendingGroup& group) {
  group.add("lent-and-left", closed("the peer closed the connection"), [](Attacker& attacker) {
    attacker.running(large_buffers);
    show_large(attacker, 60);
    attacker.leave();
  });
  group.add("lent-and-stopped", harmless(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    show_large(attacker, 60);
    attacker.guest().stop(lender);
  });
  group.add("lent-and-disabled", harmless(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    show_large(attacker, 60);
    attacker.guest().enable(lender, false);
    attacker.await_used(lender, 60);
  });
  group.add("lent-and-then-a-lie", group.lied(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    show_large(attacker, 60);
    attacker.await_used(lender, 60);
    attacker.lie(lender);
  });
  group.add("lent-and-its-slot-removed", broken("outside_memory"), [](Attacker& attacker) {
    const MemoryRegion its = attacker.running(large_buffers_and_slots).memory().description(0);
    show_large(attacker, 60);
    attacker.link().change(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, its}));
  });
  group.add("lent-while-tables-change", harmless(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    for (unsigned i = 1; i <= 200; ++i) {
      show_large(attacker, 32);
      attacker.guest().share_memory();
      attacker.await_used(lender, 32 * i);
    }
  });
  group.add("lent-and-the-device-reset", harmless(), [](Attacker& attacker) {
    attacker.running({.protocol = {P::reset_device}, .transmit_bytes = 2048});
    for (int i = 0; i < 20; ++i) {
      show_large(attacker, 2);
      attacker.link().change(make_request(Request::reset_device));
    }
  });
}

void add_buffers_of_loans(LendingGroup& group) {
  group.add("the-same-buffer-in-every-descriptor", harmless(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    show_large(attacker, 1);
    attacker.await_used(lender, 1);
    attacker.show(lender, std::vector<std::uint16_t>(63, 0));
    attacker.await_used(lender, 64);
  });
  group.add("at-the-border-of-what-is-copied", harmless(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    unsigned shown = 0;
    for (const std::uint32_t bytes : {1022U, 1023U, 1024U, 1025U, 2036U}) {
      show_large(attacker, 32, 12 + bytes);
      attacker.await_used(lender, shown += 32);
    }
  });
  group.add("the-used-ring-is-lent", survived(), [](Attacker& attacker) {
    attacker.running(large_buffers);
    const std::uint64_t used = attacker.guest_address(attacker.used(lender));
    for (std::uint16_t i = 0; i < 32; ++i) attacker.descriptor(lender, i) = {used, large_packet, 0, 0};
    for (std::uint16_t i = 0; i < 32; ++i) attacker.show(lender, {i});
  });
  group.add("64-kib-in-pieces-of-1024", harmless(), [](Attacker& attacker) {
    attacker.running({.features = {V::net_mrg_rxbuf}, .transmit_bytes = 2048});
    for (unsigned round = 1; round <= 100; ++round) {
      for (std::uint16_t i = 0; i < 60; ++i)
        attacker.descriptor(lender, i) = {attacker.guest_address(attacker.guest().transmit().buffer(i)), 1024,
                                          i < 59 ? next : std::uint16_t{0}, static_cast<std::uint16_t>(i + 1)};
      attacker.show(lender, {0});
      attacker.await_used(lender, round);
    }
  });
  group.add("over-the-last-byte-of-memory", broken("outside_memory"), [](Attacker& attacker) {
    const MemoryRegion its = attacker.running(large_buffers).memory().description(0);
    attacker.descriptor(lender, 0) = {its.guest_address + its.size - large_packet + 1, large_packet, 0, 0};
    attacker.show(lender, {0});
  });
  group.add("buffers-rewritten-while-they-are-lent", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running(large_buffers);
    const Rewriter rewriter(guest.transmit().buffer(0) + 12, 60 * 2048);  // not the first net header
    for (unsigned i = 1; i <= 200; ++i) {
      show_large(attacker, 1);
      attacker.await_used(lender, i);
    }
  });
}

/// What stands for all of a class, in the order of the list. Of packed rings, where there is such an attack.
constexpr std::array again_here{
    "rings.avail-jumps-by-one-too-many",
    "rings.avail-jumps-on-the-receive-ring",
    "rings.heads-outside",
    "rings.seven-bad-heads-and-a-good-one",
    "rings.next-outside",
    "rings.chain-loops-to-itself",
    "rings.writable-behind-readable",
    "rings.readable-in-receive",
    "rings.buffer-outside",
    "rings.buffer-wraps",
    "rings.buffer-of-4-gib",
    "rings.receive-buffer-outside",
    "rings.wrong-wrap",
    "rings.the-same-id-in-every-descriptor",
    "rings.available-while-it-is-used",
    "rings.wraps-round-the-end-as-it-may",
    "indirect.table-of-17-bytes",
    "indirect.nested-in-the-second-entry",
    "indirect.loop",
    "packets.shorter-than-the-net-header",
    "packets.header-in-twelve-pieces",
    "packets.of-65-kib-in-pieces",
    "packets.into-buffers-of-one-byte",
    "headers.checksum-one-byte-past-the-packet",
    "headers.checksum-start-and-offset-that-wrap",
    "headers.tso-whole",
    "headers.tso-of-segments-of-0",
    "headers.tso-whose-tcp-header-is-past-the-end",
    "headers.tso-whose-ip-length-lies",
};

void add_again(Attacks& attacks) {
  for (const std::string name : again_here) {
    bool there = false;
    for (const std::string prefix : {"", "packed-"}) {
      const auto found =
          std::find_if(attacks.begin(), attacks.end(), [&](const Attack& one) { return one.name == prefix + name; });
      if (found == attacks.end()) continue;
      there = true;
      Attack here = *found;
      here.name = prefix + "lending." + name.substr(name.find('.') + 1);
      here.port = Socket::lending;
      attacks.push_back(std::move(here));
    }
    if (!there) throw std::logic_error("there is no attack " + name);
  }
}

}  // namespace

void add_lending_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    LendingGroup group(attacks, kind);
    add_ends(group);
    add_buffers_of_loans(group);
  }
  add_again(attacks);
}

}  // namespace vhostx::hostile
