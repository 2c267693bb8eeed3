// SPDX-License-Identifier: BSD-3-Clause
// What meets a burst that takes long: requests of the same front-end, whose answer must wait for no more than a burst,
// other rings of the same port, a driver that goes on, an end.
#include "tests/hostile/attacks/long_ring.hpp"
#include "tests/hostile/attacks/rewriter.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

/// The transmit ring is full of tables of nothing, and kicked; then this.
Group::Run meanwhile(std::function<void(Attacker&, LongRing&)> run, unsigned pairs = 1) {
  return [run = std::move(run), pairs](Attacker& attacker) {
    LongRing ring(attacker, {}, pairs);
    ring.empty_tables(out_of);
    ring.show(out_of);
    run(attacker, ring);
  };
}

/// The receive ring is, and frames come.
Group::Run meanwhile_received(std::function<void(Attacker&, LongRing&)> run) {
  return [run = std::move(run)](Attacker& attacker) {
    LongRing ring(attacker);
    ring.empty_tables(into);
    attacker.feed(4);
    run(attacker, ring);
  };
}

void add_requests(Group& group) {
  group.add("and-the-ring-is-stopped", survived(),
            meanwhile([](Attacker& attacker, LongRing&) { attacker.guest().stop(out_of); }));
  group.add("and-the-receive-ring-is-stopped", survived(),
            meanwhile_received([](Attacker& attacker, LongRing&) { attacker.guest().stop(into); }));
  group.add("and-the-ring-is-stopped-and-started-again", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 8; ++i) attacker.guest().restart(out_of, attacker.guest().stop(out_of));
            }));
  group.add("and-the-memory-table-is-replaced", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 8; ++i) attacker.guest().share_memory();
            }));
  group.add("and-slots-come-and-go", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 8; ++i)
                const ExtraMemory memory(attacker, 4096, static_cast<std::uint64_t>(2 + i) * extra_guest);
            }));
  group.add("and-its-memory-is-removed", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              attacker.link().change(remove_slot(slot_at(extra_guest, LongRing::memory_bytes)));
            }));
  group.add("and-call-descriptors-are-exchanged", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 20; ++i)
                attacker.link().change(with_fd(number(Request::set_vring_call, out_of), event_fd()));
            }));
  group.add("and-kick-descriptors-are-exchanged", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 20; ++i)
                attacker.link().change(with_fd(number(Request::set_vring_kick, out_of), event_fd(1)));
            }));
  group.add("and-the-ring-is-disabled", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              attacker.guest().enable(out_of, false);
              let_it_work(200);
            }));
  group.add("and-the-ring-is-enabled-and-disabled", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 20; ++i) attacker.guest().enable(out_of, i % 2 == 1);
            }));
  group.add("and-the-receive-ring-is-enabled-and-disabled", survived(),
            meanwhile_received([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 20; ++i) attacker.guest().enable(into, i % 2 == 1);
            }));
  group.add("and-the-device-is-reset", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              attacker.link().change(make_request(Request::reset_device));
            }));
}

void add_states(Group& group) {
  group.add("in-a-disabled-ring", survived(), [](Attacker& attacker) {
    LongRing ring(attacker);
    attacker.guest().enable(out_of, false);
    ring.empty_tables(out_of);
    ring.show(out_of);
    let_it_work(200);
    attacker.guest().enable(out_of, true);
    let_it_work(100);
  });
  group.add("of-large-packets-in-a-disabled-ring", survived(), [](Attacker& attacker) {
    LongRing ring(attacker);
    attacker.guest().enable(out_of, false);
    ring.write_table([&](std::uint32_t) { return ring.bytes(1); });
    ring.point_to_table(out_of);
    ring.show(out_of);
    let_it_work(200);
  });
  group.add("in-all-rings", survived(), [](Attacker& attacker) {
    LongRing ring(attacker, {}, 2);
    ring.empty_tables(out_of);
    ring.point_to_table(3);
    ring.show(out_of);
    ring.show(3);
    attacker.feed(4);
    let_it_work(300);
  });
  group.add("in-both-receive-rings", survived(), [](Attacker& attacker) {
    LongRing ring(attacker, {}, 2);
    ring.empty_tables(into);
    ring.point_to_table(2);
    attacker.feed(64);
    let_it_work(300);
  });
  group.add("before-the-ring-starts", survived(), [](Attacker& attacker) {
    LongRing ring(attacker);
    const std::uint32_t base = attacker.guest().stop(out_of);
    ring.empty_tables(out_of);
    ring.show(out_of);
    attacker.guest().restart(out_of, base);
    let_it_work(300);
  });
}

void add_drivers(Group& group) {
  group.add("and-kicked-all-the-while", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 20'000; ++i) attacker.guest().transmit().kick();
            }));
  group.add("and-the-table-is-rewritten", survived(), meanwhile([](Attacker&, LongRing& ring) {
              const Rewriter rewriter(ring.table(), std::size_t{16} * long_ring_size);
              let_it_work(200);
            }));
  group.add("and-frames-flow-on-the-other-pair", survived(),
            meanwhile(
                [](Attacker& attacker, LongRing&) {
                  attacker.send(64, 1);
                  attacker.await_sent("the other pair", 1);
                },
                2));
  group.add("and-the-front-end-dies", survived(), meanwhile([](Attacker& attacker, LongRing&) { attacker.leave(); }));
}

void add_split_drivers(Group& group) {
  group.add("and-shown-again-as-it-is-used", survived(), meanwhile([](Attacker& attacker, LongRing&) {
              for (int i = 0; i < 300; ++i) {
                const auto room = static_cast<std::uint16_t>(attacker.used_index(out_of) + long_ring_size -
                                                             attacker.avail(out_of)[1]);
                if (room <= long_ring_size) attacker.show(out_of, std::vector<std::uint16_t>(room, 7));
                let_it_work(1);
              }
            }));
  group.add("and-the-front-end-dies-five-times", survived(), [](Attacker& attacker) {
    for (int i = 0; i < 5; ++i) {
      Guest& guest = attacker.guest(LongRing::plan());
      guest.start();
      for (std::uint32_t k = 0; k < long_ring_size; ++k)
        attacker.descriptor(out_of, static_cast<std::uint16_t>(k)) = {0, 0, next, static_cast<std::uint16_t>(k + 1)};
      attacker.show(out_of, std::vector<std::uint16_t>(long_ring_size, 0));
      attacker.leave();
    }
  });
}

}  // namespace

void add_burst_meeting_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "bursts", kind);
    add_requests(group);
    add_states(group);
    add_drivers(group);
    if (!group.is_packed()) add_split_drivers(group);
  }
}

}  // namespace vhostx::hostile
