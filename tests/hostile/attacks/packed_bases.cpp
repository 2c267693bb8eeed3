// SPDX-License-Identifier: BSD-3-Clause
// What a front-end says of packed rings: their sizes, their places, where they go on, and when they become packed.
#include <random>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

using Position = PackedDriver::Position;

/// Ring 1 is started at this base.
Group::Run begin_at(std::uint32_t base) {
  return [base](Attacker& attacker) {
    attacker.running();
    attacker.guest().stop(out_of);
    attacker.guest().restart(out_of, base);
  };
}

/// The transmit ring stops after so many frames and starts with what `base` makes of the answer; frames flow on.
Group::Run goes_on(std::function<std::uint32_t(std::uint32_t)> base, unsigned frames = 5, int rounds = 50) {
  return [=](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < rounds; ++i) {
      attacker.send(frames);
      attacker.await_sent("before the stop");
      attacker.guest().restart(out_of, base(attacker.guest().stop(out_of)));
      attacker.send(frames);
      attacker.await_sent("after the start");
    }
  };
}

void add_bases(Group& group) {
  const auto outside = [] { return broken("outside_memory"); };  // with the reason in the log
  group.add("both-halves-outside", outside(), begin_at(0x8040'8040));
  group.add("upper-half-outside", outside(), begin_at(0x8040'8000));
  group.add("lower-half-outside", outside(), begin_at(0x8001'8040));
  group.add("lower-half-outside-and-nothing-in-the-upper", outside(), begin_at(0x0000'8040));
  group.add("of-every-bit", outside(), begin_at(0xffff'ffff));
  group.add("of-every-bit-but-the-wrap-counters", outside(), begin_at(0x7fff'7fff));
  group.add("as-it-was-answered", harmless(), goes_on([](std::uint32_t base) { return base; }));
  group.add("with-nothing-in-the-upper-half", harmless(), goes_on([](std::uint32_t base) { return base & 0xffff; }));
  group.add("with-nothing-in-the-lower-half", harmless(), goes_on([](std::uint32_t base) {
              return (base & 0x7fff'0000) == 0 ? base : base & 0xffff'0000;  // but of a ring that begins anew
            }));
  group.add("of-a-fresh-ring-again-and-again", harmless(), goes_on([](std::uint32_t) { return 0x8000'8000; }));
  group.add("of-0-again-and-again", harmless(), goes_on([](std::uint32_t) { return 0U; }));
  group.add("of-another-lap", survived(), [](Attacker& attacker) {
    attacker.running();
    for (int i = 0; i < 50; ++i) attacker.guest().restart(out_of, attacker.guest().stop(out_of) ^ 0x8000'8000);
  });
  group.add("any-base-again-and-again", survived(), [](Attacker& attacker) {
    attacker.running();
    std::mt19937 random(4711);
    for (int i = 0; i < 300; ++i) {
      attacker.guest().stop(out_of);
      attacker.guest().restart(out_of, static_cast<std::uint32_t>(random()) & 0x803f'803f);
    }
  });
  group.add("of-a-fresh-ring-that-holds-anything", survived(), [](Attacker& attacker) {
    attacker.running();
    std::mt19937 random(4711);
    for (int i = 0; i < 300; ++i) {
      attacker.guest().stop(out_of);
      for (std::uint32_t k = 0; k < 64; ++k)
        attacker.packed(out_of).ring()[k] = {random(), static_cast<std::uint32_t>(random() % 100),
                                             static_cast<std::uint16_t>(random() % 4),
                                             static_cast<std::uint16_t>(random() & 0x8087)};
      attacker.guest().restart(out_of, i % 2 == 0 ? 0 : 0x8000'8000);
    }
  });
}

void add_sizes(Group& group) {
  const auto sized = [](std::uint32_t size) {
    return [=](Attacker& attacker) {
      attacker.guest();
      attacker.wrong(ring_state(Request::set_vring_num, 0, size));
    };
  };
  constexpr auto most = "expected 1 to 32768 on a packed ring";
  group.add("ring-size-0", refused(most), sized(0));
  group.add("ring-size-32769", refused(most), sized(32769));
  group.add("ring-size-65536", refused(most), sized(65536));
  group.add("ring-size-2-to-the-31", refused(most), sized(0x80000000));
  group.add("ring-size-changed-while-it-runs", refused("expected a stopped ring"), [](Attacker& attacker) {
    attacker.running();
    attacker.wrong(ring_state(Request::set_vring_num, out_of, 3));
  });
  group.add("ring-size-1000", harmless(), [](Attacker& attacker) {
    attacker.running({.ring_size = 1000});
    for (int i = 0; i < 20; ++i) {
      attacker.send(900);
      attacker.await_sent("a ring of 1000");
    }
  });
  // What it made available would be elsewhere in a smaller ring.
  group.add("smaller-each-time-it-starts", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (std::uint32_t size = 63; size != 0; --size) {
      const std::uint32_t base = guest.stop(out_of);
      guest.link().change(ring_state(Request::set_vring_num, out_of, size));
      guest.link().change(ring_state(Request::set_vring_base, out_of, base));
      guest.link().change(make_request(Request::set_vring_addr, guest.addresses(out_of)));
      guest.arm(out_of);
      guest.transmit().kick();
    }
  });
}

void add_places(Group& group) {
  using At = VringAddress;
  using In = MemoryRegion;
  const auto nowhere = [] { return refused("in no memory region"); };
  const auto end = [](const In& in) { return in.front_end_address + in.size; };
  group.add("ring-outside", nowhere(), laid_out([](At& at, const In&) { at.descriptor = 4096; }), "2018-1059");
  group.add("ring-over-the-end", nowhere(),
            laid_out([=](At& at, const In& in) { at.descriptor = end(in) - 64 * 16 + 16; }), "2018-1059");
  group.add("ring-to-the-last-byte", harmless(), [=](Attacker& attacker) {
    Guest& guest = attacker.guest();
    guest.describe(0, 0);
    VringAddress at = guest.ring(0).addresses(0);
    at.descriptor = end(guest.memory().description(0)) - 64 * 16;
    guest.link().change(make_request(Request::set_vring_addr, at));
    guest.arm(0);
    guest.ring(0).kick();
  });
  group.add("driver-events-outside", nowhere(), laid_out([](At& at, const In&) { at.available = 4096; }));
  group.add("driver-events-over-the-end", nowhere(), laid_out([=](At& at, const In& in) { at.available = end(in); }));
  group.add("device-events-that-wrap", nowhere(), laid_out([](At& at, const In&) { at.used = ~std::uint64_t{3}; }));
  group.add("ring-unaligned", refused("not aligned to 16"), laid_out([](At& at, const In&) { at.descriptor += 8; }));
  group.add("driver-events-unaligned", refused("not aligned to 4"),
            laid_out([](At& at, const In&) { at.available += 2; }));
  group.add("device-events-unaligned", refused("not aligned to 4"), laid_out([](At& at, const In&) { at.used += 2; }));
  group.add("device-events-are-the-drivers", refused("overlaps"),
            laid_out([](At& at, const In&) { at.used = at.available; }));
  group.add("driver-events-in-the-ring", refused("overlaps"),
            laid_out([](At& at, const In&) { at.available = at.descriptor + 63 * 16 + 12; }));
  group.add("device-events-in-the-ring", refused("overlaps"),
            laid_out([](At& at, const In&) { at.used = at.descriptor; }));
  group.add("two-rings-in-one-place", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    guest.stop(into);
    guest.link().change(make_request(Request::set_vring_addr, [&] {
      VringAddress at = guest.addresses(out_of);
      at.index = into;
      return at;
    }()));
    guest.link().change(ring_state(Request::set_vring_base, into, attacker.packed(out_of).base()));
    guest.arm(into);
    guest.enable(into);
    guest.receive().kick();
    for (int i = 0; i < 20; ++i) {
      attacker.packed(out_of).show_entry(
          {attacker.guest_address(guest.transmit().buffer(0)), 76, 0, i % 2 == 0 ? writable : std::uint16_t{0}});
      guest.transmit().kick();
      attacker.peer().send_all(1);
    }
  });
}

void add_negotiations(Group& group) {
  group.add("split-while-packed-rings-run", refused("while rings run"), [](Attacker& attacker) {
    attacker.running();
    FeatureSet features = attacker.guest().features();
    attacker.wrong(number(Request::set_features, features.clear(V::ring_packed).bits()));
  });
  group.add("split-and-packed-by-turns", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    const FeatureSet packed = guest.features();
    FeatureSet split = packed;
    split.clear(V::ring_packed);
    for (int i = 0; i < 100; ++i) {
      for (const std::uint32_t vring : {into, out_of}) guest.stop(vring);
      guest.link().change(number(Request::set_features, (i % 2 == 0 ? split : packed).bits()));
      for (const std::uint32_t vring : {into, out_of}) guest.restart(vring, i % 2 == 0 ? 0 : 0x8000'8000);
    }
  });
  group.add("a-size-of-a-packed-ring-and-then-split", refused("expected a power of two"), [](Attacker& attacker) {
    Guest& guest = attacker.guest();
    guest.describe(0, 0);
    guest.link().change(ring_state(Request::set_vring_num, 0, 63));
    FeatureSet features = guest.features();
    guest.link().change(number(Request::set_features, features.clear(V::ring_packed).bits()));
    attacker.wrong(with_fd(number(Request::set_vring_kick, 0), event_fd(1)));
  });
}

}  // namespace

void add_packed_base_attacks(Attacks& attacks) {
  Group group(attacks, "bases", RingKind::packed);
  add_bases(group);
  add_sizes(group);
  add_places(group);
  add_negotiations(group);
}

}  // namespace vhostx::hostile
