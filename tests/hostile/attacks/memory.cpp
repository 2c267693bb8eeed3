// SPDX-License-Identifier: BSD-3-Clause
// Memory tables and slots that are wrong, that change under running rings, and rings that do not lie where they say.
#include <sys/mman.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t far_off = std::uint64_t{1} << 40;
constexpr std::uint64_t top = ~std::uint64_t{0};

MemoryRegion region(std::uint64_t guest, std::uint64_t bytes, std::uint64_t front_end, std::uint64_t offset = 0) {
  return {guest, bytes, front_end, offset};
}
Message table_of(std::vector<MemoryRegion> regions, std::size_t file_bytes) {
  Message table = make_memory_table(regions);
  for (std::size_t i = 0; i < regions.size(); ++i) table.add_fd(memory_file(file_bytes));
  return table;
}
Message slot_of(const MemoryRegion& slot, std::size_t file_bytes) {
  return with_fd(make_request(Request::add_mem_reg, SingleMemoryRegion{0, slot}), memory_file(file_bytes));
}
const GuestPlan slots{.protocol = {P::configure_mem_slots}};

/// Rings run; a table is refused; they run on as if nothing had been asked.
Group::Run refused_table(std::vector<MemoryRegion> regions, std::size_t file_bytes = 8 * page) {
  return [=](Attacker& attacker) {
    Guest& guest = attacker.running();
    attacker.wrong(table_of(regions, file_bytes));
    guest.send(8);
    guest.await_sent("the rings in the old memory");
  };
}

void add_tables(Group& group) {
  const auto at = [](std::uint64_t guest, std::uint64_t bytes) { return region(guest, bytes, guest); };
  group.add("region-of-no-bytes", refused("size is 0"), refused_table({at(far_off, 0)}));
  group.add("guest-address-wraps", refused("guest address + size exceeds 2^64"),
            refused_table({region(top - page + 1, 2 * page, far_off)}));
  group.add("front-end-address-wraps", refused("front-end address + size exceeds 2^64"),
            refused_table({region(far_off, 2 * page, top - page + 1)}));
  group.add("file-offset-wraps", refused("file offset + size exceeds 2^64"),
            refused_table({region(far_off, page, far_off, top - page + 1)}));
  group.add("region-of-2-to-the-63", refused("its file has"), refused_table({at(0, std::uint64_t{1} << 63)}));
  group.add("region-larger-than-its-file", refused("its file has"), refused_table({at(far_off, 9 * page)}),
            "2026-86561");
  group.add("region-one-byte-larger-than-its-file", refused("its file has"), refused_table({at(far_off, 8 * page + 1)}),
            "2026-86561");
  group.add("offset-past-the-end-of-its-file", refused("its file has"),
            refused_table({region(far_off, page, far_off, 8 * page)}), "2026-86561");
  group.add("empty-file", refused("its file has"), refused_table({at(far_off, page)}, 0), "2026-86561");
  group.add("more-than-there-can-be", refused(""),
            refused_table({at(0, std::uint64_t{1} << 47)}, std::size_t{1} << 47));
  group.add("regions-overlap-to-the-guest", refused("overlap in guest addresses"),
            refused_table({region(far_off, 2 * page, far_off), region(far_off + page, 2 * page, 2 * far_off)}));
  group.add("regions-overlap-to-the-front-end", refused("overlap in front-end addresses"),
            refused_table({region(far_off, 2 * page, far_off), region(2 * far_off, 2 * page, far_off + page)}));
  group.add("the-same-region-eight-times", refused("overlap"),
            refused_table(std::vector<MemoryRegion>(8, at(far_off, page))));
  group.add("the-last-of-eight-is-wrong", refused("size is 0"), [=](Attacker& attacker) {
    std::vector<MemoryRegion> regions;
    for (std::uint64_t i = 1; i < 8; ++i) regions.push_back(at(i * far_off, page));
    regions.push_back(at(9 * far_off, 0));
    refused_table(regions)(attacker);
  });
  group.add("table-at-an-odd-offset", harmless(), [](Attacker& attacker) {
    attacker.guest();
    attacker.link().change(table_of({region(far_off, page, far_off, 1)}, 2 * page));
  });
}

void add_slots(Group& group) {
  const auto slot = [](const MemoryRegion& wanted, std::size_t file_bytes = 8 * page) {
    return [=](Attacker& attacker) {
      Guest& guest = attacker.running(slots);
      attacker.wrong(slot_of(wanted, file_bytes));
      guest.send(8);
      guest.await_sent("the rings in the old memory");
    };
  };
  group.add("slot-larger-than-its-file", refused("its file has"), slot(region(far_off, 9 * page, far_off)),
            "2026-86561");
  group.add("slot-that-wraps", refused("exceeds 2^64"), slot(region(top - page + 1, 2 * page, far_off)));
  group.add("slot-over-the-memory-that-is-there", refused("overlap"), [](Attacker& attacker) {
    MemoryRegion wanted = attacker.running(slots).memory().description(0);
    wanted.guest_address += page;
    attacker.wrong(slot_of(wanted, wanted.size + page));
  });
  group.add("slot-unknown-is-removed", refused("no region has guest address"), [](Attacker& attacker) {
    attacker.running(slots);
    attacker.wrong(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, region(far_off, page, far_off)}));
  });
  group.add("slot-of-another-size-is-removed", refused("no region has guest address"), [](Attacker& attacker) {
    MemoryRegion wanted = attacker.running(slots).memory().description(0);
    wanted.size -= page;
    attacker.wrong(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, wanted}));
  });
  group.add("one-slot-too-many", refused("at most 512 are allowed"), [](Attacker& attacker) {
    attacker.running(slots);
    for (std::uint64_t i = 1; i < 512; ++i)
      attacker.link().change(slot_of(region(far_off + 2 * i * page, page, far_off + 2 * i * page), page));
    attacker.wrong(slot_of(region(2 * far_off, page, 2 * far_off), page));
  });
  group.add("slots-come-and-go-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running(slots);
    for (int i = 0; i < 300; ++i) {
      guest.send(4);
      attacker.link().change(slot_of(region(far_off, page, far_off), page));
      attacker.link().change(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, region(far_off, page, far_off)}));
      guest.await_sent("while slots come and go");
    }
  });
}

void add_changes_under_rings(Group& group) {
  group.add("slot-of-running-rings-is-removed", broken("outside_memory"), [](Attacker& attacker) {
    const MemoryRegion its = attacker.running(slots).memory().description(0);
    attacker.link().change(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, its}));
  });
  group.add("table-without-the-running-rings", broken("outside_memory"), [](Attacker& attacker) {
    attacker.running();
    attacker.link().change(table_of({region(far_off, page, far_off)}, page));
  });
  group.add("table-of-no-regions-under-rings", broken("outside_memory"), [](Attacker& attacker) {
    attacker.running();
    attacker.link().change(table_of({}, 0));
  });
  group.add("table-whose-rings-lie-over-the-end", broken("outside_memory"), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    MemoryRegion its = guest.memory().description(0);
    its.size = page;
    attacker.link().change(with_fd(make_memory_table(std::vector{its}), tools::duplicate(guest.memory().fd(0))));
  });
  group.add("table-of-another-file-under-rings", survived(), [](Attacker& attacker) {
    const MemoryRegion its = attacker.running().memory().description(0);
    attacker.link().change(table_of({its}, its.size));
    attacker.guest().send(8);
  });
  group.add("tables-change-in-a-loop-under-traffic", harmless(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    for (int i = 0; i < 500; ++i) {
      guest.send(4);
      guest.share_memory();
      guest.await_sent("while tables change");
    }
  });
}

void add_ring_places(Group& group) {
  using At = VringAddress;
  using In = MemoryRegion;
  const auto nowhere = [] { return refused("in no memory region"); };
  group.add("ring-table-outside", nowhere(), laid_out([](At& at, const In&) { at.descriptor = page; }), "2018-1059");
  group.add("ring-avail-outside", nowhere(), laid_out([](At& at, const In&) { at.available = top - page + 1; }),
            "2018-1059");
  group.add("ring-used-over-the-end", nowhere(),
            laid_out([](At& at, const In& in) { at.used = in.front_end_address + in.size - 8; }), "2018-1059");
  group.add("ring-table-over-the-end", nowhere(),
            laid_out([](At& at, const In& in) { at.descriptor = in.front_end_address + in.size - 16; }), "2018-1059");
  group.add("ring-avail-one-byte-over-the-end", nowhere(),
            laid_out([](At& at, const In& in) { at.available = in.front_end_address + in.size - (4 + 2 * 64) + 2; }));
  group.add("ring-at-guest-addresses", nowhere(),
            laid_out([](At& at, const In& in) { at.descriptor = in.guest_address; }));
  group.add("ring-table-unaligned", refused("not aligned to 16"),
            laid_out([](At& at, const In&) { at.descriptor += 8; }));
  group.add("ring-avail-unaligned", refused("not aligned to 2"),
            laid_out([](At& at, const In&) { at.available += 1; }));
  group.add("ring-used-unaligned", refused("not aligned to 4"), laid_out([](At& at, const In&) { at.used += 2; }));
  group.add("ring-used-is-avail", refused("overlaps"), laid_out([](At& at, const In&) { at.used = at.available; }));
  group.add("ring-avail-is-in-the-table", refused("overlaps"),
            laid_out([](At& at, const In&) { at.available = at.descriptor + 64; }));
  group.add("two-rings-in-one-place", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.guest();
    for (const std::uint32_t vring : {0U, 1U}) {
      guest.describe(vring, 0);
      guest.link().change(make_request(Request::set_vring_addr, guest.ring(1).addresses(vring)));
      guest.arm(vring);
      guest.enable(vring);
      guest.ring(vring).kick();
    }
    guest.send(32);
    attacker.feed(32);
  });
  group.add("ring-of-32768-does-not-fit", nowhere(), [](Attacker& attacker) {
    Guest& guest = attacker.guest();
    guest.describe(0, 0);
    VringAddress at = guest.ring(0).addresses(0);
    const auto region = guest.memory().description(0);
    at.descriptor = region.front_end_address + region.size - page;
    guest.link().change(ring_state(Request::set_vring_num, 0, 32768));
    guest.link().change(make_request(Request::set_vring_addr, at));
    attacker.wrong(with_fd(number(Request::set_vring_kick, 0), event_fd(1)));
  });
}

}  // namespace

void add_memory_attacks(Attacks& attacks) {
  Group group(attacks, "memory");
  add_tables(group);
  add_slots(group);
  add_changes_under_rings(group);
  add_ring_places(group);
}

}  // namespace vhostx::hostile
