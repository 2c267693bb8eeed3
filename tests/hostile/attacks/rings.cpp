// SPDX-License-Identifier: BSD-3-Clause
// What a driver writes into its rings: indices, heads, descriptors, chains.
#include <array>
#include <cstring>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {
namespace {

using virtqueue::Descriptor;

constexpr std::uint32_t receive = 0, transmit = 1;
constexpr std::uint64_t nowhere = std::uint64_t{1} << 50;

/// Rings run; then the driver lies.
Group::Run lie(std::function<void(Attacker&)> lie, GuestPlan plan = {}) {
  return [lie = std::move(lie), plan](Attacker& attacker) {
    attacker.running(plan);
    lie(attacker);
  };
}

/// The available index moves by so many from where it is.
Group::Run jump(std::uint32_t vring, std::uint16_t by, GuestPlan plan = {}) {
  return lie(
      [=](Attacker& attacker) {
        std::uint16_t* const index = attacker.avail(vring) + 1;
        __atomic_store_n(index, static_cast<std::uint16_t>(*index + by), __ATOMIC_RELEASE);
        attacker.guest().ring(vring).kick();
        if (vring == receive) attacker.feed(1);
      },
      plan);
}

/// This one descriptor, in the transmit ring.
Group::Run one(std::function<Descriptor(Attacker&, Descriptor)> change) {
  return lie([change = std::move(change)](Attacker& attacker) {
    const Descriptor good{attacker.guest_address(attacker.guest().transmit().buffer(0)), 76, 0, 0};
    attacker.descriptor(transmit, 0) = change(attacker, good);
    attacker.show(transmit, {0});
  });
}
/// The same in each descriptor of the receive ring, and a frame is on its way.
Group::Run each_received(std::function<Descriptor(Descriptor)> change) {
  return lie([change = std::move(change)](Attacker& attacker) {
    for (std::uint16_t i = 0; i < attacker.guest().receive().options().size; ++i)
      attacker.descriptor(receive, i) = change(attacker.descriptor(receive, i));
    attacker.feed(1);
  });
}

std::uint64_t end_of_memory(Attacker& attacker) {
  const auto region = attacker.guest().memory().description(0);
  return region.guest_address + region.size;
}

// What a packed ring has instead is in packed_rings.cpp.
void add_ring_indices(Group& group) {
  const GuestPlan of_one{.ring_size = 1}, of_two{.ring_size = 2}, of_four{.ring_size = 4};
  const GuestPlan largest{.ring_size = 32768, .receive_bytes = 128, .transmit_bytes = 128};
  const auto jumped = [] { return broken("avail_index_jump"); };
  group.add("avail-jumps-by-one-too-many", jumped(), jump(transmit, 65));
  group.add("avail-jumps-by-32768", jumped(), jump(transmit, 32768));
  group.add("avail-goes-back", jumped(), jump(transmit, 0xffff));
  group.add("avail-jumps-on-the-receive-ring", jumped(), jump(receive, 1000));
  group.add("avail-goes-back-on-the-receive-ring", jumped(), jump(receive, static_cast<std::uint16_t>(-65)));
  group.add("avail-jumps-on-a-ring-of-1", jumped(), jump(transmit, 2, of_one));
  group.add("avail-jumps-on-a-ring-of-2", jumped(), jump(transmit, 3, of_two));
  group.add("avail-jumps-on-a-ring-of-4", jumped(), jump(transmit, 5, of_four));
  group.add("avail-jumps-on-a-ring-of-32768", jumped(), jump(transmit, 32769, largest));
  group.add("avail-wraps-as-it-may", harmless(),
            lie(
                [](Attacker& attacker) {
                  for (int i = 0; i < 20; ++i) {
                    attacker.send(1);
                    attacker.await_sent("around the end");
                  }
                },
                {.first_index = 65530}));
  group.add("heads-outside", broken("bad_head"),
            lie([](Attacker& attacker) { attacker.show(transmit, std::vector<std::uint16_t>(16, 0xffff)); }));
  group.add("heads-outside-on-the-receive-ring", broken("bad_head"), lie([](Attacker& attacker) {
              for (int slot = 0; slot < 64; ++slot) attacker.avail(receive)[2 + slot] = 0x8000;
              attacker.feed(1);
            }));
  group.add("one-head-past-the-last", dropped("drop_bad_head"),
            lie([](Attacker& attacker) { attacker.show(transmit, {64}); }));
  group.add("seven-bad-heads-and-a-good-one", dropped("drop_bad_head"), lie([](Attacker& attacker) {
              attacker.show(transmit, {64, 65, 99, 1000, 0x7fff, 0x8000, 0xffff, 0});
              attacker.await_used(transmit, 1);
            }));
}

void add_chains(Group& group) {
  group.add("all-heads-the-same", harmless(), lie([](Attacker& attacker) {
              attacker.show(transmit, std::vector<std::uint16_t>(64, 0));
              attacker.await_used(transmit, 64);
            }));
  /// Descriptors 0, 1, ... as they are given, lengths of 16 where they have none.
  const auto chain = [](std::vector<std::uint16_t> flags, std::vector<std::uint16_t> nexts, std::uint32_t length = 16) {
    return lie([=](Attacker& attacker) {
      const std::uint64_t buffer = attacker.guest_address(attacker.guest().transmit().buffer(0));
      for (std::uint16_t i = 0; i < flags.size(); ++i)
        attacker.descriptor(transmit, i) = {buffer, length, flags[i], nexts[i]};
      attacker.show(transmit, {0});
    });
  };
  if (!group.is_packed()) {  // in a packed ring nothing names the next descriptor
    group.add("next-outside", broken("bad_next"), chain({next}, {4711}));
    group.add("next-one-past-the-last", broken("bad_next"), chain({next}, {64}));
  }
  group.add("chain-loops-to-itself", broken("chain_too_long"), chain({next}, {0}));
  group.add("chain-loops-with-no-bytes", broken("chain_too_long"), chain({next}, {0}, 0));
  group.add("chain-loops-over-two", broken("chain_too_long"), chain({next, next}, {1, 0}));
  group.add("chain-of-the-whole-ring", harmless(), lie([](Attacker& attacker) {
              const std::uint64_t buffer = attacker.guest_address(attacker.guest().transmit().buffer(0));
              for (std::uint16_t i = 0; i < 64; ++i)
                attacker.descriptor(transmit, i) = {buffer, 8, i < 63 ? next : std::uint16_t{0},
                                                    static_cast<std::uint16_t>(i + 1)};
              attacker.show(transmit, {0});
              attacker.await_used(transmit, 1);
            }));
  group.add("writable-in-transmit", broken("wrong_direction"), chain({writable}, {0}, 76));
  group.add("writable-behind-readable", broken("wrong_direction"), chain({next, writable}, {1, 0}, 76));
  group.add("readable-in-receive", broken("wrong_direction"), each_received([](Descriptor it) {
              it.flags = 0;
              return it;
            }));
  group.add("flags-of-every-bit", broken(group.is_packed() ? "chain_too_long" : "indirect_unsupported"),
            chain({0xffff}, {0}, 76));
}

void add_buffers(Group& group) {
  const auto outside = [] { return broken("outside_memory"); };
  const auto at = [](std::uint64_t address, std::uint32_t length) {
    return one([=](Attacker&, Descriptor) { return Descriptor{address, length, 0, 0}; });
  };
  group.add("buffer-outside", outside(), at(nowhere, 76), "2018-1059");
  group.add("buffer-at-0", outside(), at(0, 76));
  group.add("buffer-wraps", outside(), at(~std::uint64_t{0} - 10, 76), "2018-1059");
  group.add("buffer-of-4-gib", dropped("drop_too_large"), one([](Attacker&, Descriptor it) {
              it.length = 0xffffffff;
              return it;
            }),
            "2018-1059");
  group.add("buffer-one-byte-over-the-end", outside(), one([](Attacker& attacker, Descriptor) {
              return Descriptor{end_of_memory(attacker) - 75, 76, 0, 0};
            }),
            "2018-1059");
  group.add("buffer-to-the-last-byte", harmless(), lie([](Attacker& attacker) {
              attacker.descriptor(transmit, 0) = {end_of_memory(attacker) - 76, 76, 0, 0};
              attacker.show(transmit, {0});
              attacker.await_used(transmit, 1);
            }));
  group.add("buffer-over-a-gap-between-regions", outside(),
            lie(
                [](Attacker& attacker) {
                  attacker.descriptor(transmit, 0) = {end_of_memory(attacker) - 38, 4 << 20, 0, 0};
                  attacker.show(transmit, {0});
                },
                {.regions = 2}),
            "2018-1059");
  group.add("receive-buffer-outside", outside(), each_received([](Descriptor it) {
              it.address = nowhere;
              return it;
            }),
            "2020-10725");
  group.add("receive-buffer-over-the-end", outside(), lie([](Attacker& attacker) {
              for (std::uint16_t i = 0; i < 64; ++i)
                attacker.descriptor(receive, i).address = end_of_memory(attacker) - 20;
              attacker.feed(1);
            }));
  group.add("receive-buffer-is-the-ring", survived(), lie([](Attacker& attacker) {
              for (std::uint16_t i = 0; i < 64; ++i)
                attacker.descriptor(receive, i).address = attacker.guest_address(attacker.table(receive));
              attacker.feed(8);
            }));
  group.add("transmit-buffer-is-the-used-ring", survived(), lie([](Attacker& attacker) {
              for (std::uint16_t i = 0; i < 64; ++i)
                attacker.descriptor(transmit, i) = {attacker.guest_address(attacker.used(transmit)), 512, 0, 0};
              attacker.show(transmit, std::vector<std::uint16_t>(32, 1));
            }));
  group.add("buffer-over-neighbouring-regions", harmless(), [](Attacker& attacker) {
    // Legal where they are contiguous to the guest, whatever they are to the front-end.
    Guest& guest = attacker.running({.protocol = {P::configure_mem_slots}});
    const std::uint64_t end = end_of_memory(attacker);
    protocol::Message slot =
        make_request(Request::add_mem_reg, protocol::SingleMemoryRegion{0, {end, 4096, std::uint64_t{1} << 42, 0}});
    guest.link().change(with_fd(std::move(slot), memory_file(4096)));
    attacker.descriptor(transmit, 0) = {end - 38, 76, 0, 0};
    attacker.show(transmit, {0});
    attacker.await_used(transmit, 1);
  });
}

void add_notes(Group& group) {
  group.add("used-ring-overwritten", survived(), lie([](Attacker& attacker) {
              for (int i = 0; i < 50; ++i) {
                std::memset(attacker.used(transmit), 0xa5, attacker.is_packed() ? 4 : 4 + 8 * 64);
                attacker.show(transmit, {static_cast<std::uint16_t>(i)});
              }
            }));
  if (group.is_packed()) return;  // packed_rings.cpp has its event structures
  group.add("event-indices-of-nonsense", harmless(),
            lie(
                [](Attacker& attacker) {
                  for (std::uint16_t i = 0; i < 200; ++i) {
                    attacker.avail(transmit)[2 + 64] = static_cast<std::uint16_t>(i * 7919);
                    attacker.send(1);
                    attacker.await_sent("nonsense");
                  }
                },
                {.features = {V::event_idx}}));
  group.add("avail-flags-of-every-bit", harmless(), lie([](Attacker& attacker) {
              for (std::uint16_t i = 0; i < 200; ++i) {
                attacker.avail(transmit)[0] = static_cast<std::uint16_t>(i * 7919);
                attacker.send(1);
                attacker.await_sent("flags");
              }
            }));
}

}  // namespace

void add_ring_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "rings", kind);
    if (!group.is_packed()) add_ring_indices(group);
    add_chains(group);
    add_buffers(group);
    add_notes(group);
  }
}

}  // namespace vhostx::hostile
