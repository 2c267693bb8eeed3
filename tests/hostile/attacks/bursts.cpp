// SPDX-License-Identifier: BSD-3-Clause
// What one burst costs: rings whose walk is long and brings nothing. The guest that made them may wait; nobody else.
#include "tests/hostile/attacks/long_ring.hpp"

namespace vhostx::hostile {
namespace {

using virtqueue::Descriptor;

constexpr unsigned a_while_ms = 300;

Group::Run with_ring(std::function<void(Attacker&, LongRing&)> run, FeatureSet features = {}) {
  return [run = std::move(run), features](Attacker& attacker) {
    LongRing ring(attacker, features);
    run(attacker, ring);
    let_it_work(a_while_ms);
  };
}

/// Each entry of the transmit ring names one table, whose entries are these.
Group::Run sent(std::function<Descriptor(const LongRing&, std::uint32_t)> entry, FeatureSet features = {},
                std::uint32_t entries = long_ring_size) {
  return with_ring(
      [=](Attacker&, LongRing& ring) {
        ring.write_table([&](std::uint32_t i) { return entry(ring, i); }, 0, entries);
        ring.point_to_table(out_of, entries);
        ring.show(out_of);
      },
      features);
}

/// The same in the receive ring, and frames come.
Group::Run received(std::function<Descriptor(const LongRing&, std::uint32_t)> entry, FeatureSet features = {},
                    unsigned frames = 1, bool to_all = false) {
  return with_ring(
      [=](Attacker& attacker, LongRing& ring) {
        ring.write_table([&](std::uint32_t i) { return entry(ring, i); }, writable);
        ring.point_to_table(into);
        attacker.feed(frames, to_all);
      },
      features);
}

Descriptor empty(const LongRing& ring, std::uint32_t) { return ring.nothing(); }
Descriptor one_byte(const LongRing& ring, std::uint32_t) { return ring.bytes(1); }

void add_sent(Group& group) {
  group.add("tables-of-nothing", survived(), sent(empty));
  group.add("tables-of-nothing-and-event-index", survived(), sent(empty, {V::event_idx}));
  group.add("tables-of-nothing-and-a-byte-at-the-end", survived(),
            sent([](const LongRing& ring, std::uint32_t i) { return ring.bytes(i + 1 == long_ring_size ? 1 : 0); }));
  group.add("tables-whose-packet-is-at-the-end", survived(),
            sent([](const LongRing& ring, std::uint32_t i) { return ring.bytes(i + 1 == long_ring_size ? 76 : 0); }));
  group.add("tables-of-single-bytes", survived(), sent(one_byte));
  group.add("tables-of-4-gib-an-entry", survived(),
            sent([](const LongRing& ring, std::uint32_t) { return ring.bytes(0xffffffff); }));
  group.add("tables-too-large-by-one-byte-an-entry", survived(),
            sent([](const LongRing& ring, std::uint32_t) { return ring.bytes(3); }));
  group.add("tables-of-2000-single-bytes", survived(), sent(one_byte, {}, 2000));
  group.add("tables-whose-end-is-wrong", survived(), sent([](const LongRing& ring, std::uint32_t i) {
              return i + 1 == long_ring_size ? Descriptor{~std::uint64_t{0} - 10, 76, 0, 0} : ring.nothing();
            }));
  group.add("tables-and-a-net-header-that-was-not-negotiated", survived(), [](Attacker& attacker) {
    LongRing ring(attacker);
    const ExtraMemory header(attacker, 4096, 2 * extra_guest);
    header.at()[0] = 1;  // a checksum that nobody negotiated
    ring.write_table([&](std::uint32_t i) { return i == 0 ? Descriptor{header.guest(), 100, 0, 0} : ring.nothing(); });
    ring.point_to_table(out_of);
    ring.show(out_of);
    let_it_work(a_while_ms);
  });
}

void add_sent_chains(Group& group) {
  const auto chain = [](std::uint32_t bytes, std::function<std::uint16_t(std::uint32_t)> head) {
    return with_ring([=](Attacker&, LongRing& ring) {
      ring.write_chain(out_of, [&](std::uint32_t) { return ring.bytes(bytes); });
      ring.show(out_of, head);
    });
  };
  const auto first = [](std::uint32_t) { return std::uint16_t{0}; };
  group.add("one-chain-of-nothing-in-every-slot", survived(), chain(0, first));
  group.add("one-chain-of-single-bytes-in-every-slot", survived(), chain(1, first));
  group.add("every-rest-of-a-chain-of-nothing", survived(), chain(0, {}));
  group.add("every-rest-of-a-chain-of-single-bytes", survived(), chain(1, {}));
  group.add("32768-bad-heads", broken("bad_head"), with_ring([](Attacker&, LongRing& ring) {
              ring.show(out_of, [](std::uint32_t) { return std::uint16_t{0xffff}; });
            }));
  group.add("bad-heads-among-good-ones", survived(), with_ring([](Attacker&, LongRing& ring) {
              ring.show(out_of, [](std::uint32_t i) { return static_cast<std::uint16_t>(i % 8 == 0 ? i : 0x8000); });
            }));
}

// In a packed ring no two chains share a descriptor: 32768 of them, and how they are cut.
void add_sent_packed_chains(Group& group) {
  const auto chains = [](std::uint32_t bytes, std::uint16_t entries) {
    return with_ring([=](Attacker& attacker, LongRing& ring) {
      ring.write_chain(out_of, [&](std::uint32_t) { return ring.bytes(bytes); });
      std::vector<std::uint16_t> heads;
      for (std::uint32_t i = 0; i < long_ring_size; i += entries) {
        heads.push_back(static_cast<std::uint16_t>(i));
        attacker.descriptor(out_of, static_cast<std::uint16_t>(i + entries - 1)).flags = 0;
      }
      for (int round = 0; round < 8; ++round) attacker.show(out_of, heads);
    });
  };
  group.add("a-chain-of-the-whole-ring-of-nothing", survived(), chains(0, long_ring_size));
  group.add("a-chain-of-the-whole-ring-of-single-bytes", survived(), chains(1, long_ring_size));
  group.add("chains-of-1024-of-nothing", survived(), chains(0, 1024));
  group.add("chains-of-1024-of-single-bytes", survived(), chains(1, 1024));
  group.add("chains-of-two-of-nothing", survived(), chains(0, 2));
  group.add("frames-into-the-beginnings-of-chains-of-1024", survived(),
            with_ring([](Attacker& attacker, LongRing& ring) {
              attacker.restart(into, 0);
              ring.write_chain(
                  into, [&](std::uint32_t i) { return ring.bytes(i % 1024 == 0 ? 2000 : 0); }, writable);
              std::vector<std::uint16_t> heads;
              for (std::uint32_t i = 0; i < long_ring_size; i += 1024) {
                heads.push_back(static_cast<std::uint16_t>(i));
                attacker.descriptor(into, static_cast<std::uint16_t>(i + 1023)).flags = writable;
              }
              attacker.show(into, heads);
              attacker.feed(64);
            }));
}

void add_sent_rows(Group& group) {
  group.add("a-loop-of-the-whole-ring", broken("chain_too_long"), with_ring([](Attacker& attacker, LongRing& ring) {
              ring.write_chain(out_of, [&](std::uint32_t) { return ring.nothing(); });
              attacker.descriptor(out_of, long_ring_size - 1).flags = next;
              if (attacker.is_packed())
                attacker.show(out_of, {0});
              else
                ring.show(out_of);
            }));
  group.add("single-descriptors-of-nothing", survived(), with_ring([](Attacker& attacker, LongRing& ring) {
              for (std::uint32_t i = 0; i < long_ring_size; ++i)
                attacker.descriptor(out_of, static_cast<std::uint16_t>(i)) = ring.nothing();
              ring.show(out_of);
            }));
}

void add_received_chain(Group& group) {
  group.add("one-receive-chain-of-nothing-in-every-slot", survived(), with_ring([](Attacker& attacker, LongRing& ring) {
              ring.write_chain(
                  into, [&](std::uint32_t) { return ring.nothing(); }, writable);
              for (std::uint32_t i = 0; i < long_ring_size; ++i) attacker.avail(into)[2 + i] = 0;
              attacker.feed(8);
            }));
}

void add_received(Group& group) {
  group.add("receive-tables-of-nothing", survived(), received(empty));
  group.add("receive-tables-of-nothing-and-mergeable", survived(), received(empty, {V::net_mrg_rxbuf}));
  group.add("receive-tables-of-nothing-and-event-index", survived(), received(empty, {V::event_idx}));
  group.add("receive-tables-of-nothing-and-a-broadcast", survived(), received(empty, {}, 1, true));
  group.add("receive-tables-of-nothing-and-many-frames", survived(), received(empty, {V::net_mrg_rxbuf}, 300));
  group.add("receive-tables-of-single-bytes", survived(), received(one_byte, {}, 300));
  group.add("receive-tables-whose-end-is-wrong", survived(), received([](const LongRing& ring, std::uint32_t i) {
              return i + 1 == long_ring_size ? Descriptor{~std::uint64_t{0} - 10, 76, 0, 0} : ring.nothing();
            }));
  group.add("receive-buffers-of-nothing", survived(), with_ring([](Attacker& attacker, LongRing&) {
              for (std::uint32_t i = 0; i < long_ring_size; ++i)
                attacker.descriptor(into, static_cast<std::uint16_t>(i)).length = 0;
              attacker.feed(32);
            }));
}

// ---- pages that nobody has touched

constexpr std::size_t page_bytes = 4096;

GuestPlan untouched_plan(std::uint16_t size) {
  return {.features = {V::indirect_desc, V::net_mrg_rxbuf},
          .protocol = {P::configure_mem_slots},
          .ring_size = size,
          .receive_bytes = 128,
          .transmit_bytes = 128};
}

/// Packets of so many bytes, each in pages of its own.
Group::Run untouched(std::uint16_t count, std::uint32_t bytes, std::size_t stride) {
  return [=](Attacker& attacker) {
    attacker.running(untouched_plan(count));
    const ExtraMemory memory(attacker, count * stride);
    std::vector<std::uint16_t> heads;
    for (std::uint16_t i = 0; i < count; ++i) {
      attacker.descriptor(out_of, i) = {memory.guest(i * stride), bytes, 0, 0};
      heads.push_back(i);
    }
    attacker.show(out_of, heads);
    attacker.await_used(out_of, count);
  };
}

/// A table of single bytes, each in a page of its own, for each packet: frames find only such.
void untouched_receive(Attacker& attacker) {
  constexpr std::uint32_t pages = 128, count = 1024;
  attacker.running(untouched_plan(count));
  const ExtraMemory tables(attacker, count * pages * sizeof(Descriptor), 2 * extra_guest);
  const ExtraMemory memory(attacker, count * pages * page_bytes);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto* const table = tables.at<Descriptor>(i * pages * sizeof(Descriptor));
    for (std::uint32_t k = 0; k < pages; ++k)
      table[k] = attacker.in_table({memory.guest((i * pages + k) * page_bytes), 1,
                                    static_cast<std::uint16_t>(writable | (k + 1 < pages ? next : 0)),
                                    static_cast<std::uint16_t>(k + 1)});
    attacker.descriptor(into, static_cast<std::uint16_t>(i)) = {tables.guest(i * pages * sizeof(Descriptor)),
                                                                pages * sizeof(Descriptor), indirect, 0};
  }
  attacker.feed(900);
  let_it_work(a_while_ms);
}

void add_untouched(Group& group, Socket port, const std::string& where) {
  const auto add = [&](const char* name, Group::Run run) {
    group.add((name + where).c_str(), survived(), std::move(run), "", port);
  };
  add("small-packets-on-untouched-pages", untouched(16384, 76, page_bytes));
  add("packets-of-60000-bytes-on-untouched-pages", untouched(4096, 60012, 15 * page_bytes));
  add("receive-tables-on-untouched-pages", untouched_receive);
}

void add_lent(Group& group) {
  const auto add = [&](const char* name, Group::Run run) {
    group.add(name, survived(), std::move(run), "", Socket::lending);
  };
  add("lending-tables-of-nothing", sent(empty));
  add("lending-tables-of-single-bytes", sent(one_byte));
  add("lending-tables-too-large", sent([](const LongRing& ring, std::uint32_t) { return ring.bytes(3); }));
  add("lending-receive-tables-of-nothing", received(empty, {V::net_mrg_rxbuf}, 64));
}

}  // namespace

void add_burst_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "bursts", kind);
    add_sent(group);
    if (group.is_packed()) {
      add_sent_packed_chains(group);
    } else {
      add_sent_chains(group);
      add_received_chain(group);
    }
    add_sent_rows(group);
    add_received(group);
    add_untouched(group, Socket::attacked, "");
    add_untouched(group, Socket::lending, "-that-are-lent");
    add_lent(group);
  }
}

}  // namespace vhostx::hostile
