// SPDX-License-Identifier: BSD-3-Clause
// Guest memory that changes while the back-end reads it: what was checked is not what is there any more
// (CVE-2026-93683, CVE-2020-14375, and the second fix of CVE-2024-11614).
#include <array>
#include <cstring>

#include "net/virtio_net_header.hpp"
#include "tests/hostile/attacks/make.hpp"
#include "tests/hostile/attacks/rewriter.hpp"

namespace vhostx::hostile {
namespace {

using virtqueue::Descriptor;
using virtqueue::packed_avail_flag, virtqueue::packed_used_flag;

constexpr std::uint32_t incoming = 0, outgoing = 1;
constexpr unsigned rounds = 40;
const GuestPlan every_offload{.features = {V::net_csum, V::net_host_tso4, V::net_host_tso6, V::net_host_uso,
                                           V::net_mrg_rxbuf, V::indirect_desc, V::event_idx}};

/// Both rings have work, again and again, while somebody writes; whatever becomes of it.
void exercise(Attacker& attacker) {
  for (std::uint16_t round = 0; round < rounds; ++round) {
    attacker.restart(outgoing, round);  // the rewriting may have broken it
    attacker.restart(incoming, round);
    attacker.post_receive();
    for (std::uint16_t i = 0; i < 16; ++i) attacker.show(outgoing, {i, static_cast<std::uint16_t>(i + 16)});
    attacker.feed(16);
  }
}

using What = std::function<Rewriter(Attacker&)>;

Group::Run while_rewriting(const What& what) {
  return [what](Attacker& attacker) {
    attacker.running(every_offload);
    attacker.send(32);
    const Rewriter rewriter = what(attacker);
    exercise(attacker);
  };
}

/// Between two values, one of which passes every check.
template <typename T>
Rewriter flip(T* at, T good, T bad) {
  return Rewriter([=, which = false](std::mt19937_64&) mutable {
    which = !which;
    for (int i = 0; i < 64; ++i) std::memcpy(static_cast<void*>(at), which ? &good : &bad, sizeof(T));
  });
}

Rewriter all_descriptors(Attacker& attacker) { return {attacker.table(outgoing), 64 * sizeof(Descriptor)}; }
Rewriter all_receive_descriptors(Attacker& attacker) { return {attacker.table(incoming), 64 * sizeof(Descriptor)}; }
Rewriter one_length(Attacker& attacker) {
  return flip<std::uint32_t>(&attacker.table(outgoing)->length, 76, 0xffffff00);
}
Rewriter one_address(Attacker& attacker) {
  Descriptor& it = *attacker.table(outgoing);
  return flip<std::uint64_t>(&it.address, it.address, std::uint64_t{1} << 50);
}
Rewriter one_receive_length(Attacker& attacker) {
  return flip<std::uint32_t>(&attacker.table(incoming)->length, 2048, 1);
}
Rewriter one_flag(Attacker& attacker) {
  if (!attacker.is_packed()) return flip<std::uint16_t>(&attacker.table(outgoing)->flags, 0, next | indirect);
  return flip<std::uint16_t>(&attacker.packed(outgoing).ring()->flags, packed_avail_flag, packed_avail_flag | next);
}
Rewriter avail_index(Attacker& attacker) { return {attacker.avail(outgoing) + 1, 2}; }
Rewriter heads(Attacker& attacker) { return {attacker.avail(outgoing) + 2, 64 * 2}; }
Rewriter used_rings(Attacker& attacker) { return {attacker.used(outgoing), 4 + 64 * 8}; }

// ---- of packed rings alone
constexpr std::uint16_t turning = packed_avail_flag | packed_used_flag;
/// All descriptors turn available and used, in this lap and the next.
Rewriter turning_flags(Attacker& attacker) {
  PackedDriver::Entry* const ring = attacker.packed(outgoing).ring();
  return Rewriter([=](std::mt19937_64& random) {
    for (int i = 0; i < 64; ++i)
      __atomic_store_n(&ring[random() % 64].flags, static_cast<std::uint16_t>(random() & turning), __ATOMIC_RELAXED);
  });
}
/// The first is a chain of one, and one that never ends.
Rewriter chain_lengths(Attacker& attacker) {
  PackedDriver::Entry* const ring = attacker.packed(outgoing).ring();
  return Rewriter([=](std::mt19937_64& random) {
    for (int i = 0; i < 64; ++i) __atomic_fetch_xor(&ring[random() % 64].flags, next, __ATOMIC_RELAXED);
  });
}
Rewriter ids(Attacker& attacker) {
  PackedDriver::Entry* const ring = attacker.packed(outgoing).ring();
  return Rewriter([=](std::mt19937_64& random) {
    for (int i = 0; i < 64; ++i)
      __atomic_store_n(&ring[random() % 64].id, static_cast<std::uint16_t>(random()), __ATOMIC_RELAXED);
  });
}
Rewriter driver_event(Attacker& attacker) { return {attacker.packed(outgoing).driver_event(), 4}; }
Rewriter device_event(Attacker& attacker) { return {attacker.packed(outgoing).device_event(), 4}; }

Rewriter net_header(Attacker& attacker) {
  using net::VirtioNetHeader;
  const VirtioNetHeader good{net::header_needs_csum, 0, 0, 0, 14, 10, 0};
  const VirtioNetHeader bad{net::header_needs_csum, 0, 0, 0, 14, 65000, 0};
  return flip(reinterpret_cast<VirtioNetHeader*>(attacker.guest().transmit().buffer(0)), good, bad);
}
Rewriter segment_size(Attacker& attacker) {
  using net::VirtioNetHeader;
  const VirtioNetHeader good{net::header_needs_csum, net::gso_tcpv4, 54, 1460, 34, 16, 0};
  const VirtioNetHeader bad{net::header_needs_csum, net::gso_tcpv4, 54, 0, 34, 16, 0};
  return flip(reinterpret_cast<VirtioNetHeader*>(attacker.guest().transmit().buffer(0)), good, bad);
}
Rewriter packet_bytes(Attacker& attacker) { return {attacker.guest().transmit().buffer(0), 32 * 256}; }

/// All chains of the transmit ring lead through one table, which is rewritten.
Rewriter indirect_table(Attacker& attacker) {
  const auto table = attacker.guest().memory().allocate(16 * sizeof(Descriptor), 16);
  const std::uint64_t buffer = attacker.guest_address(attacker.guest().transmit().buffer(0));
  auto* const entries = reinterpret_cast<Descriptor*>(table.at);
  for (std::uint16_t i = 0; i < 64; ++i)
    attacker.descriptor(outgoing, i) = {table.guest, 16 * sizeof(Descriptor), indirect, 0};
  entries[1] = attacker.in_table({buffer, 64, 0, 0});
  std::array versions{Descriptor{buffer, 12, next, 1}, Descriptor{buffer, 12, next, 60000},
                      Descriptor{std::uint64_t{1} << 50, 12, next, 1}, Descriptor{buffer, 12, indirect, 1}};
  for (Descriptor& one : versions) one = attacker.in_table(one);
  return Rewriter([=, which = 0U](std::mt19937_64&) mutable {
    for (int i = 0; i < 64; ++i) std::memcpy(static_cast<void*>(entries), &versions[which % 4], sizeof(Descriptor));
    ++which;
  });
}
/// Both rings and all their buffers.
Rewriter everything(Attacker& attacker) {
  return {reinterpret_cast<void*>(attacker.guest().memory().description(0).front_end_address), 256 << 10};
}

struct Row {
  const char* name;
  const char* cve;
  Rewriter (*what)(Attacker&);
};

void add_rows(Group& group, std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    group.add(row.name, survived(), while_rewriting(row.what), row.cve);
    group.add((std::string(row.name) + "-on-a-port-that-lends").c_str(), survived(), while_rewriting(row.what), row.cve,
              Socket::lending);
  }
}

void add_for_both(Group& group) {
  add_rows(group, {
                      {"descriptors", "2026-93683", all_descriptors},
                      {"descriptors-of-the-receive-ring", "2026-93683", all_receive_descriptors},
                      {"the-length-of-one", "2026-93683", one_length},
                      {"the-address-of-one", "2026-93683", one_address},
                      {"the-length-of-one-receive-buffer", "2026-93683", one_receive_length},
                      {"the-flags-of-one", "2026-93683", one_flag},
                      {"checksum-offset-of-a-net-header", "2024-11614", net_header},
                      {"segment-size-of-a-net-header", "2024-11614", segment_size},
                      {"packets", "", packet_bytes},
                      {"indirect-table", "2026-93683", indirect_table},
                      {"everything", "2026-93683", everything},
                  });
}

}  // namespace

void add_rewriting_attacks(Attacks& attacks) {
  for (const RingKind kind : both_kinds) {
    Group group(attacks, "rewriting", kind);
    add_for_both(group);
    if (group.is_packed())
      add_rows(group, {
                          {"flags-of-all", "2026-93683", turning_flags},
                          {"chain-lengths", "2026-93683", chain_lengths},
                          {"ids", "", ids},
                          {"event-structure-of-the-driver", "", driver_event},
                          {"event-structure-of-the-device", "", device_event},
                      });
    else
      add_rows(group, {
                          {"avail-index", "2026-93683", avail_index},
                          {"heads", "2026-93683", heads},
                          {"used-ring", "", used_rings},
                      });
  }
}

}  // namespace vhostx::hostile
