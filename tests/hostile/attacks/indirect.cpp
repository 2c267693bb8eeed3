// SPDX-License-Identifier: BSD-3-Clause
// Indirect descriptors (VIRTIO 1.2, 2.7.5.3): tables that are no tables, and those that only look so.
#include <cstring>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {
namespace {

using virtqueue::Descriptor;

constexpr std::uint32_t sender = 1;
const GuestPlan with_indirect{.features = {V::indirect_desc}};

/// A place for tables, in memory of the guest that nothing else uses.
struct Table {
  const Attacker& attacker;
  Descriptor* entries;
  std::uint64_t guest;
  std::uint64_t buffer;  ///< Of a packet.

  void put(std::size_t i, const Descriptor& entry) const {
    const Descriptor written = attacker.in_table(entry);
    std::memcpy(static_cast<void*>(entries + i), &written, sizeof written);  // at an odd address, perhaps
  }
};
Table table_of(Attacker& attacker, std::size_t skew = 0) {
  auto piece = attacker.guest().memory().allocate(65536 + skew, 16);
  return {attacker, reinterpret_cast<Descriptor*>(piece.at + skew), piece.guest + skew,
          attacker.guest_address(attacker.guest().transmit().buffer(0))};
}

/// `fill` writes the table and answers the descriptor that points to it.
Group::Run table(std::function<Descriptor(const Table&)> fill, std::size_t skew = 0) {
  return [fill = std::move(fill), skew](Attacker& attacker) {
    attacker.running(with_indirect);
    attacker.descriptor(sender, 0) = fill(table_of(attacker, skew));
    attacker.show(sender, {0});
  };
}
/// The same, of what is legal: it must be used.
Group::Run good_table(std::function<Descriptor(const Table&)> fill, std::size_t skew = 0) {
  return [run = table(std::move(fill), skew)](Attacker& attacker) {
    run(attacker);
    attacker.await_used(sender, 1);
  };
}

/// A table of one good entry that says to have so many bytes; with NEXT, descriptor 1 follows.
std::function<Descriptor(const Table&)> of_bytes(std::uint32_t bytes, std::uint16_t flags = indirect) {
  return [=](const Table& at) {
    at.put(0, {at.buffer, 76, 0, 0});
    return Descriptor{at.guest, bytes, flags, 1};
  };
}
/// A table of `count` entries in a row, each of 8 bytes.
Descriptor row(const Table& at, std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i)
    at.put(i, {at.buffer, 8, i + 1 < count ? next : std::uint16_t{0}, static_cast<std::uint16_t>(i + 1)});
  return {at.guest, count * 16U, indirect, 0};
}

void add_lengths_of_tables(Group& group) {
  const auto bad = [] { return broken("bad_indirect"); };
  group.add("table-of-0-bytes", bad(), table(of_bytes(0)));
  group.add("table-of-8-bytes", bad(), table(of_bytes(8)));
  group.add("table-of-17-bytes", bad(), table(of_bytes(17)));
  group.add("table-of-4-gib-less-1", bad(), table(of_bytes(0xffffffff)));
  if (!group.is_packed())
    group.add("table-of-4-gib-whose-entries-are-read-past-the-end", broken("bad_next"), table([](const Table& at) {
                at.put(0, {at.buffer, 76, next, 0xffff});
                return Descriptor{at.guest, 16 * 100, indirect, 0};
              }));
  group.add("table-beside-next", bad(), table(of_bytes(16, indirect | next)));
  group.add("table-not-negotiated", broken("indirect_unsupported"), [](Attacker& attacker) {
    attacker.running();
    attacker.descriptor(sender, 0) = of_bytes(16)(table_of(attacker));
    attacker.show(sender, {0});
  });
  group.add("table-marked-writable", survived(), table(of_bytes(16, indirect | writable)));
  group.add("table-outside", broken("outside_memory"), table([](const Table&) {
              return Descriptor{std::uint64_t{1} << 50, 16, indirect, 0};
            }),
            "2018-1059");
  group.add("table-that-wraps", broken("outside_memory"), table([](const Table&) {
              return Descriptor{~std::uint64_t{0} - 15 - 8, 32, indirect, 0};
            }));
  group.add("table-over-the-end-of-memory", broken("outside_memory"), [](Attacker& attacker) {
    attacker.running(with_indirect);
    const auto region = attacker.guest().memory().description(0);
    attacker.descriptor(sender, 0) = {region.guest_address + region.size - 8, 16, indirect, 0};
    attacker.show(sender, {0});
  });
}

void add_contents_of_tables(Group& group) {
  group.add("nested", broken("bad_indirect"), table([](const Table& at) {
              at.put(0, {at.guest, 16, indirect, 0});
              return Descriptor{at.guest, 16, indirect, 0};
            }));
  group.add("nested-in-the-second-entry", broken("bad_indirect"), table([](const Table& at) {
              at.put(0, {at.buffer, 76, next, 1});
              at.put(1, {at.guest, 32, indirect, 0});
              return Descriptor{at.guest, 32, indirect, 0};
            }));
  // In the table of a packed ring NEXT means nothing.
  group.add("next-past-the-table", group.is_packed() ? harmless() : broken("bad_next"), table([](const Table& at) {
              at.put(0, {at.buffer, 76, next, 1});
              return Descriptor{at.guest, 16, indirect, 0};
            }));
  group.add("loop", group.is_packed() ? dropped("drop_short_chain") : broken("chain_too_long"),
            table([](const Table& at) {
              at.put(0, {at.buffer, 0, next, 1});
              at.put(1, {at.buffer, 0, next, 0});
              return Descriptor{at.guest, 32, indirect, 0};
            }));
  group.add("longer-than-the-ring", broken("chain_too_long"), table([](const Table& at) { return row(at, 65); }));
  group.add("of-4000-entries", broken("chain_too_long"), table([](const Table& at) { return row(at, 4000); }));
  group.add("buffer-outside", broken("outside_memory"), table([](const Table& at) {
              at.put(0, {at.buffer, 76, next, 1});
              at.put(1, {std::uint64_t{1} << 50, 76, 0, 0});
              return Descriptor{at.guest, 32, indirect, 0};
            }));
  // In a packed ring some drivers leave the flag there, and nobody is hurt by what is read.
  group.add("writable-entry-in-transmit", group.is_packed() ? harmless() : broken("wrong_direction"),
            table([](const Table& at) {
              at.put(0, {at.buffer, 76, writable, 0});
              return Descriptor{at.guest, 16, indirect, 0};
            }));
  group.add("shorter-than-the-net-header", dropped("drop_short_chain"), table([](const Table& at) {
              at.put(0, {at.buffer, 5, 0, 0});
              return Descriptor{at.guest, 16, indirect, 0};
            }),
            "2022-2132");
}

void add_legal_tables(Group& group) {
  group.add("as-long-as-the-ring-less-one", harmless(), good_table([](const Table& at) { return row(at, 63); }));
  group.add("at-an-odd-address", harmless(), good_table(of_bytes(16), 3));
  group.add("behind-a-direct-descriptor", harmless(), [](Attacker& attacker) {
    attacker.running(with_indirect);
    const Table at = table_of(attacker);
    attacker.descriptor(sender, 0) = {at.buffer, 12, next, 1};
    attacker.descriptor(sender, 1) = of_bytes(16)(at);
    attacker.show(sender, {0});
    attacker.await_used(sender, 1);
  });
  group.add("the-ring-is-its-own-table", survived(), [](Attacker& attacker) {
    attacker.running(with_indirect);
    attacker.descriptor(sender, 0) = {attacker.guest_address(attacker.table(sender)), 64 * 16, indirect, 0};
    attacker.show(sender, {0});
  });
}

}  // namespace

void add_indirect_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "indirect", kind);
    add_lengths_of_tables(group);
    add_contents_of_tables(group);
    add_legal_tables(group);
  }
}

}  // namespace vhostx::hostile
