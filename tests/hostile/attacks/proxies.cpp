// SPDX-License-Identifier: BSD-3-Clause
// Memory by proxy: what the back-end's own accesses cost it, and what lies in two places at once. Page tables of
// aliased slots, sparse files that grow at its touch, holes, files of disks.
#include <fcntl.h>

#include <sys/mman.h>

#include "tests/hostile/attacks/extra_memory.hpp"
#include "tests/hostile/attacks/rewriter.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t gib = std::uint64_t{1} << 30;

const GuestPlan proxy_plan{
    .features = {V::indirect_desc, V::net_mrg_rxbuf}, .protocol = {P::configure_mem_slots}, .ring_size = 1024};

/// Adds it if the back-end likes to; what it refuses costs nothing.
bool may_add(Attacker& attacker, const MemoryRegion& slot, int file) {
  return tools::probe::need(attacker.link().acknowledged(add_slot(slot, tools::duplicate(file))), "ADD_MEM_REG") == 0;
}

constexpr std::uint32_t sent_bytes = 76;

/// A packet of 76 bytes at each of these addresses, as many at a time as the ring has room for.
void send_from(Attacker& attacker, const std::vector<std::uint64_t>& addresses) {
  const std::uint16_t size = proxy_plan.ring_size;
  for (std::size_t first = 0; first < addresses.size(); first += size / 2) {
    const std::size_t count = std::min<std::size_t>(size / 2, addresses.size() - first);
    std::vector<std::uint16_t> heads;
    for (std::uint16_t i = 0; i < count; ++i) {
      attacker.descriptor(out_of, i) = {addresses[first + i], sent_bytes, 0, 0};
      heads.push_back(i);
    }
    attacker.show(out_of, heads);
    if (!attacker.guest().wait([&] { return attacker.caught_up(out_of); })) return;  // broken, which it may be
  }
}

/// So many slots over one file, and a packet from each `stride` of each.
Group::Run aliases(unsigned count, std::uint64_t bytes, std::uint64_t stride) {
  return [=](Attacker& attacker) {
    attacker.running(proxy_plan);
    const UniqueFd file = memory_file(bytes);
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t at = extra_guest + 2 * i * bytes;
      if (!may_add(attacker, slot_at(at, bytes), file.get())) break;
      for (std::uint64_t offset = 0; offset < bytes; offset += stride) addresses.push_back(at + offset);
    }
    send_from(attacker, addresses);
  };
}

/// One sparse file, of which a page is touched in each `stride`.
Group::Run sparse(std::uint64_t bytes, std::uint64_t stride) { return aliases(1, bytes, stride); }

void add_page_tables(Group& group) {
  group.add("500-slots-over-one-page", survived(), aliases(500, 4096, 4096));
  group.add("500-slots-over-two-mib", survived(), aliases(500, 2 * mib, mib));
  group.add("200-slots-over-one-gib", survived(), aliases(200, gib, 64 * mib));
  group.add("slots-over-one-gib-that-are-touched-everywhere", survived(), aliases(8, gib, 2 * mib));
  group.add("a-sparse-file-of-300-gib", survived(), sparse(300 * gib, 64 * mib));
  group.add("a-sparse-file-of-8-tib", survived(), sparse(8192 * gib, 4 * gib));
  group.add("a-sparse-file-of-4-gib-that-is-touched-everywhere", survived(), sparse(4 * gib, 2 * mib));
  group.add("a-sparse-file-whose-pages-are-given-back", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const ExtraMemory memory(attacker, 64 * mib);
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t at = 0; at < 64 * mib; at += 4096) addresses.push_back(memory.guest(at));
    for (int i = 0; i < 3; ++i) {
      send_from(attacker, addresses);
      memory.punch(0, memory.bytes());
    }
  });
}

void add_holes(Group& group) {
  group.add("holes-in-buffers-all-the-while", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const ExtraMemory memory(attacker, 16 * mib);
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t at = 0; at < 16 * mib; at += 4096) addresses.push_back(memory.guest(at));
    const Rewriter puncher([&](std::mt19937_64& random) { memory.punch(random() % (8 * mib), 8 * mib); });
    for (int i = 0; i < 3; ++i) send_from(attacker, addresses);
  });
  group.add("holes-in-the-rings", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    const MemoryRegion its = guest.memory().description(0);
    for (int i = 0; i < 50; ++i) {
      ::fallocate(guest.memory().fd(0), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(its.size));
      guest.transmit().kick();
    }
    attacker.feed(8);
  });
  group.add("holes-in-the-rings-while-frames-come", survived(), [](Attacker& attacker) {
    Guest& guest = attacker.running();
    const auto bytes = static_cast<off_t>(guest.memory().description(0).size);
    const Rewriter puncher([&guest, bytes](std::mt19937_64&) {
      ::fallocate(guest.memory().fd(0), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes);
    });
    attacker.feed(500);
  });
  group.add("receive-buffers-that-are-freed-as-by-a-ring-reset", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const ExtraMemory memory(attacker, 4 * mib);
    for (std::uint16_t i = 0; i < proxy_plan.ring_size; ++i)
      attacker.descriptor(into, i).address = memory.guest(i * 4096U);
    for (int i = 0; i < 20; ++i) {
      attacker.feed(32);
      memory.punch(0, memory.bytes());
    }
  });
}

void add_aliases_of_rings(Group& group) {
  /// The guest's memory a second time, elsewhere.
  const auto again = [](Attacker& attacker) {
    const MemoryRegion its = attacker.running(proxy_plan).memory().description(0);
    attacker.link().change(add_slot(slot_at(extra_guest, its.size), tools::duplicate(attacker.guest().memory().fd(0))));
    return [its](std::uint64_t address) { return address - its.guest_address + extra_guest; };
  };
  group.add("the-ring-again-as-receive-buffers", survived(), [=](Attacker& attacker) {
    const auto alias = again(attacker);
    for (std::uint16_t i = 0; i < proxy_plan.ring_size; ++i)
      attacker.descriptor(into, i).address = alias(attacker.guest_address(&attacker.descriptor(into, 0)));
    attacker.feed(64);
  });
  group.add("the-used-ring-again-as-receive-buffers", survived(), [=](Attacker& attacker) {
    const auto alias = again(attacker);
    for (std::uint16_t i = 0; i < proxy_plan.ring_size; ++i)
      attacker.descriptor(into, i).address = alias(attacker.guest_address(attacker.used(into)));
    attacker.feed(64);
  });
  group.add("the-ring-again-as-a-table", survived(), [=](Attacker& attacker) {
    const auto alias = again(attacker);
    const std::uint64_t ring = alias(attacker.guest_address(&attacker.descriptor(out_of, 0)));
    std::vector<std::uint16_t> heads;
    for (std::uint16_t i = 0; i < 512; ++i) {
      attacker.descriptor(out_of, i) = {ring, 1024U * 16, indirect, 0};
      heads.push_back(i);
    }
    attacker.show(out_of, heads);
  });
  group.add("rings-that-move-to-their-alias-under-traffic", survived(), [=](Attacker& attacker) {
    const auto alias = again(attacker);
    Guest& guest = attacker.guest();
    guest.send(64);
    VringAddress at = guest.ring(out_of).addresses(out_of);
    for (std::uint64_t* const address : {&at.descriptor, &at.available, &at.used})
      *address = alias(attacker.guest_address(reinterpret_cast<void*>(*address)));
    const std::uint32_t base = guest.stop(out_of);
    guest.link().change(ring_state(Request::set_vring_base, out_of, base));
    guest.link().change(make_request(Request::set_vring_addr, at));
    guest.arm(out_of);
    guest.enable(out_of);
    guest.send(64);
  });
}

void add_files(Group& group) {
  group.add("slots-of-every-size", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    std::uint64_t at = extra_guest;
    for (std::uint64_t bytes = 1; bytes <= gib; bytes = bytes * 2 + bytes % 3) {
      const UniqueFd file = memory_file(bytes);
      may_add(attacker, slot_at(at, bytes), file.get());
      // One that does not lie in its slot breaks the ring, and nothing after it would be looked at.
      if (bytes >= sent_bytes) send_from(attacker, {at, at + bytes - sent_bytes});
      at += 4 * gib;
    }
  });
  group.add("a-file-on-a-disk", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const UniqueFd file(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file || ::fallocate(file.get(), 0, 0, static_cast<off_t>(16 * mib)) != 0) return;  // no such file system
    std::vector<std::uint64_t> addresses;
    if (!may_add(attacker, slot_at(extra_guest, 16 * mib), file.get())) return;
    for (std::uint64_t offset = 0; offset < 16 * mib; offset += 4096) addresses.push_back(extra_guest + offset);
    send_from(attacker, addresses);
  });
  group.add("huge-pages-that-are-not-there", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const UniqueFd file(::memfd_create("vhostx-hostile", MFD_CLOEXEC | MFD_HUGETLB));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(64 * gib)) != 0) return;  // nor any at all
    if (may_add(attacker, slot_at(extra_guest, 64 * gib), file.get())) send_from(attacker, {extra_guest, extra_guest});
  });
  group.add("slots-of-aliases-come-and-go-under-traffic", survived(), [](Attacker& attacker) {
    attacker.running(proxy_plan);
    const UniqueFd file = memory_file(64 * mib);
    for (std::uint64_t i = 0; i < 200; ++i) {
      const MemoryRegion slot = slot_at(extra_guest + (i % 8) * gib, 64 * mib);
      if (!may_add(attacker, slot, file.get())) continue;
      send_from(attacker, {slot.guest_address, slot.guest_address + 32 * mib});
      attacker.link().change(remove_slot(slot));
    }
  });
}

}  // namespace

void add_proxy_attacks(Attacks& attacks) {
  Group group(attacks, "proxies");
  add_page_tables(group);
  add_holes(group);
  add_aliases_of_rings(group);
  add_files(group);
}

}  // namespace vhostx::hostile
