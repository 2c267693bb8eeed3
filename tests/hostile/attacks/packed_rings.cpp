// SPDX-License-Identifier: BSD-3-Clause
// What a driver writes into a packed ring and into its event structure, where a split ring has nothing like it: wrap
// counters, ids, descriptors that turn. What both kinds of ring have is in rings.cpp.
#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "tests/hostile/attacks/make.hpp"
#include "tests/hostile/attacks/rewriter.hpp"

namespace vhostx::hostile {
namespace {

using virtqueue::Descriptor;
using virtqueue::packed_avail_flag, virtqueue::packed_used_flag;
using Position = PackedDriver::Position;
using Entry = PackedDriver::Entry;
using PackedEvent = virtqueue::PackedEvent;

constexpr std::uint32_t packet_bytes = 76;

/// Rings run; then the driver lies with its transmit ring.
Group::Run lie(std::function<void(Attacker&, PackedDriver&)> lie, GuestPlan plan = {}) {
  return [lie = std::move(lie), plan](Attacker& attacker) {
    Guest& guest = attacker.running(plan);
    lie(attacker, attacker.packed(out_of));
    guest.transmit().kick();
  };
}

Entry good(Attacker& attacker, std::uint16_t id = 0) {
  return {attacker.guest_address(attacker.guest().transmit().buffer(0)), packet_bytes, id, 0};
}

/// The ring is full of good packets under these ids, and all of them are used: so many used descriptors, with these
/// ids.
void use_all(Attacker& attacker, PackedDriver& driver, std::function<std::uint16_t(std::uint32_t)> id) {
  const Position first = driver.next();
  for (std::uint32_t i = 0; i < driver.size(); ++i) driver.show_entry(good(attacker, id(i)));
  attacker.guest().transmit().kick();
  for (std::uint32_t i = 0; i < driver.size(); ++i) {
    const Position at = first.after(i, driver.size());
    const auto used = [&] {
      return (__atomic_load_n(&driver.ring()[at.index()].flags, __ATOMIC_ACQUIRE) &
              (packed_avail_flag | packed_used_flag)) == at.used();
    };
    if (!attacker.guest().wait(used)) throw tools::probe::Decided{tools::probe::failed("entry {} was not used", i)};
    if (driver.ring()[at.index()].id != id(i))
      throw tools::probe::Decided{
          tools::probe::failed("entry {} was used with id {}", i, driver.ring()[at.index()].id)};
  }
}

/// These flags, in place of those of available descriptors, in all entries.
Group::Run all_flags(std::function<std::uint16_t(Position)> flags) {
  return lie([=](Attacker& attacker, PackedDriver& driver) {
    const Entry entry = good(attacker);
    for (std::uint32_t i = 0; i < driver.size(); ++i) {
      const Position at = driver.next().after(i, driver.size());
      driver.ring()[at.index()] = {entry.address, entry.length, 0, flags(at)};
    }
  });
}

void add_wraps(Group& group) {
  group.add("wrong-wrap", harmless(), all_flags([](Position at) {
              return Position{static_cast<std::uint16_t>(at.value ^ Position::wrap_bit)}.available();
            }));
  group.add("used-already", harmless(), all_flags([](Position at) { return at.used(); }));
  group.add("used-in-the-lap-before", harmless(), all_flags([](Position at) {
              return Position{static_cast<std::uint16_t>(at.value ^ Position::wrap_bit)}.used();
            }));
  // In the middle of the ring entries of another lap.
  group.add("every-other-entry-of-the-wrong-wrap", harmless(), lie([](Attacker& attacker, PackedDriver& driver) {
              const Entry entry = good(attacker);
              for (std::uint32_t i = 0; i < driver.size(); ++i) {
                const Position at = driver.next().after(i, driver.size());
                const Position other{static_cast<std::uint16_t>(at.value ^ (i % 2 == 0 ? 0 : Position::wrap_bit))};
                driver.ring()[at.index()] = {entry.address, entry.length, 0, other.available()};
              }
            }));
  // Each entry is available again as soon as it was used, and those that were not used yet as well.
  group.add(
      "available-in-both-laps-at-once", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
        const Entry entry = good(attacker);
        for (int round = 0; round < 500; ++round)
          for (std::uint32_t i = 0; i < driver.size(); ++i)
            driver.ring()[i] = {entry.address, entry.length, 0, round % 2 == 0 ? packed_avail_flag : packed_used_flag};
      }));
  group.add("the-rest-of-a-chain-of-the-wrong-wrap", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
              const Position second = driver.next().after(1, driver.size());
              driver.ring()[second.index()] = {good(attacker).address, packet_bytes, 0, second.used()};
              Entry first = good(attacker);
              first.flags = next;
              driver.show_entry(first);
            }));
  for (const std::uint16_t size : std::initializer_list<std::uint16_t>{64, 1, 2, 3, 7}) {
    const std::string name =
        "wraps-round-the-end-as-it-may" + (size == 64 ? "" : fmt::format("-on-a-ring-of-{}", size));
    group.add(name.c_str(), harmless(), [size](Attacker& attacker) {
      attacker.running({.ring_size = size});
      for (unsigned i = 0; i < 200; ++i) {
        attacker.send(1 + i % std::min<unsigned>(size, 5));
        attacker.await_sent("around the end");
      }
    });
  }
}

void add_ids(Group& group) {
  const auto all = [](std::function<std::uint16_t(std::uint32_t)> id) {
    return lie([=](Attacker& attacker, PackedDriver& driver) {
      for (int round = 0; round < 3; ++round) use_all(attacker, driver, id);
    });
  };
  group.add("ids-outside-the-ring", harmless(),
            all([](std::uint32_t i) { return static_cast<std::uint16_t>(i + 64); }));
  group.add("ids-of-0xffff-and-below", harmless(),
            all([](std::uint32_t i) { return static_cast<std::uint16_t>(0xffff - i); }));
  group.add("the-same-id-in-every-descriptor", harmless(), all([](std::uint32_t) { return std::uint16_t{0xdead}; }));
  group.add("an-id-used-twice", harmless(), all([](std::uint32_t i) { return static_cast<std::uint16_t>(i / 2); }));
  group.add("another-id-in-each-descriptor-of-a-chain", harmless(), lie([](Attacker& attacker, PackedDriver& driver) {
              const Position at = driver.next();
              const std::uint64_t buffer = good(attacker).address;
              Entry last{buffer + 12, 64, 0x1234, 0};
              const Position second = at.after(1, driver.size());
              last.flags = second.available();
              driver.ring()[second.index()] = last;
              driver.show_entry({buffer, 12, 0xffff, next});
              attacker.guest().transmit().kick();
              const Entry& used = driver.ring()[at.index()];
              if (!attacker.guest().wait(
                      [&] { return (__atomic_load_n(&used.flags, __ATOMIC_ACQUIRE) & 0x8080) == at.used(); }) ||
                  used.id != 0x1234)
                throw tools::probe::Decided{tools::probe::failed("the chain was used as {:#x}", used.id)};
            }));
}

void add_chain_lengths(Group& group) {
  // So many entries with NEXT, and the end behind them.
  const auto chain = [](std::uint32_t entries, std::uint32_t bytes) {
    return lie([=](Attacker& attacker, PackedDriver& driver) {
      for (std::uint16_t i = 0; i < entries; ++i)
        attacker.descriptor(out_of, i) = {good(attacker).address, bytes, i + 1U < entries ? next : std::uint16_t{0},
                                          static_cast<std::uint16_t>(i + 1)};
      attacker.show(out_of, {0});
      attacker.await_used(out_of, 1);
      static_cast<void>(driver);
    });
  };
  group.add("a-chain-that-never-ends", group.lied(),
            lie([](Attacker& attacker, PackedDriver&) { attacker.lie(out_of); }));
  group.add("a-chain-that-never-ends-in-the-receive-ring", group.lied(), [](Attacker& attacker) {
    attacker.running();
    PackedDriver& driver = attacker.packed(into);
    for (std::uint32_t i = 0; i < driver.size(); ++i)
      __atomic_fetch_or(&driver.ring()[i].flags, next, __ATOMIC_RELAXED);
    attacker.peer().send_all(1);
  });
  group.add("a-chain-that-never-ends-on-a-ring-of-1", group.lied(), [](Attacker& attacker) {
    attacker.running({.ring_size = 1});
    attacker.lie(out_of);
  });
  group.add("a-chain-that-never-ends-on-a-ring-of-32768", group.lied(), [](Attacker& attacker) {
    attacker.running({.ring_size = 32768, .receive_bytes = 128, .transmit_bytes = 128});
    attacker.lie(out_of);
  });
  group.add("a-chain-of-all-but-one", harmless(), chain(63, 8));
  group.add("a-chain-longer-than-what-is-free", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
              // The device still has the first half; the second half's chain leads into it.
              attacker.guest().enable(out_of, false);
              for (std::uint32_t i = 0; i < driver.size() / 2; ++i) driver.show_entry(good(attacker));
              Entry open = good(attacker);
              open.flags = next;
              for (std::uint32_t i = 0; i < driver.size() / 2; ++i) driver.show_entry(open);
              attacker.guest().enable(out_of, true);
            }));
}

void add_turns(Group& group) {
  group.add("available-while-it-is-used", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
              const Entry entry = good(attacker);
              const Rewriter rewriter([&driver, entry](std::mt19937_64&) {
                for (std::uint32_t i = 0; i < driver.size(); ++i) {
                  Entry& one = driver.ring()[i];
                  // What the device has just used is available in the next lap.
                  const std::uint16_t flags = __atomic_load_n(&one.flags, __ATOMIC_ACQUIRE);
                  one.address = entry.address;
                  one.length = entry.length;
                  __atomic_store_n(&one.flags, (flags & packed_avail_flag) != 0 ? packed_used_flag : packed_avail_flag,
                                   __ATOMIC_RELEASE);
                }
              });
              for (int i = 0; i < 200; ++i) {
                attacker.guest().transmit().kick();
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
              }
            }));
  group.add("taken-back-before-it-is-used", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
              for (int i = 0; i < 2000; ++i) {
                const Position at = driver.next();
                driver.show_entry(good(attacker));
                if (i % 16 == 0) attacker.guest().transmit().kick();
                __atomic_store_n(&driver.ring()[at.index()].flags, at.used(), __ATOMIC_RELEASE);
              }
            }));
}

void add_events(Group& group) {
  const auto events = [](std::function<PackedDriver::Event(std::uint16_t)> event, GuestPlan plan) {
    return lie(
        [=](Attacker& attacker, PackedDriver& driver) {
          for (std::uint16_t i = 0; i < 200; ++i) {
            *driver.driver_event() = event(i);
            attacker.send(1 + i % 3);
            attacker.await_sent("events");
          }
        },
        plan);
  };
  const GuestPlan with_index{.features = {V::event_idx}};
  const auto at_place = [](std::uint16_t place) { return PackedDriver::Event{place, PackedEvent::at_place}; };
  group.add("event-at-places-outside-the-ring", harmless(),
            events([=](std::uint16_t i) { return at_place(static_cast<std::uint16_t>(64 + i * 163)); }, with_index));
  group.add("event-at-places-of-the-wrong-wrap", harmless(),
            events([=](std::uint16_t i) { return at_place(static_cast<std::uint16_t>(i % 64 | (i % 2) << 15)); },
                   with_index));
  group.add("event-at-the-last-of-32768-places", harmless(),
            events([=](std::uint16_t i) { return at_place(i % 2 == 0 ? 0x7fff : 0xffff); }, with_index));
  group.add("event-at-a-place-without-event-index", harmless(),
            events([=](std::uint16_t i) { return at_place(i); }, {}));
  group.add("event-flags-of-every-value", harmless(),
            events(
                [](std::uint16_t i) {
                  return PackedDriver::Event{i, static_cast<std::uint16_t>(i * 7919)};
                },
                with_index));
  group.add("event-structure-of-the-device-overwritten", survived(), lie([](Attacker& attacker, PackedDriver& driver) {
              for (std::uint16_t i = 0; i < 200; ++i) {
                *driver.device_event() = {static_cast<std::uint16_t>(i * 163), i};
                attacker.send(1);
                attacker.await_sent("events");
              }
            }));
}

}  // namespace

void add_packed_ring_attacks(Attacks& attacks) {
  Group group(attacks, "rings", RingKind::packed);
  add_wraps(group);
  add_ids(group);
  add_chain_lengths(group);
  add_turns(group);
  add_events(group);
}

}  // namespace vhostx::hostile
