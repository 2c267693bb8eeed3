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

constexpr std::uint32_t incoming = 0, outgoing = 1;
constexpr unsigned rounds = 40;
const GuestPlan every_offload{.features = {V::net_csum, V::net_host_tso4, V::net_host_tso6, V::net_host_uso,
                                           V::net_mrg_rxbuf, V::indirect_desc, V::event_idx}};

/// A ring that the rewriting has broken starts again.
void restart(Attacker& attacker, std::uint32_t vring, std::uint16_t index) {
  Guest& guest = attacker.guest();
  guest.stop(vring);
  guest.ring(vring).restart_at(index);
  guest.restart(vring, index);
}

/// Both rings have work, again and again, while somebody writes; whatever becomes of it.
void exercise(Attacker& attacker) {
  Guest& guest = attacker.guest();
  for (std::uint16_t round = 0; round < rounds; ++round) {
    restart(attacker, outgoing, round);
    restart(attacker, incoming, round);
    guest.post_receive();
    for (std::uint16_t i = 0; i < 16; ++i) attacker.show(outgoing, {i, static_cast<std::uint16_t>(i + 16)});
    attacker.feed(16);
  }
}

using What = std::function<Rewriter(Attacker&)>;

Group::Run while_rewriting(const What& what) {
  return [what](Attacker& attacker) {
    attacker.running(every_offload).send(32);
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

Rewriter all_descriptors(Attacker& attacker) { return {&attacker.descriptor(outgoing, 0), 64 * sizeof(Descriptor)}; }
Rewriter all_receive_descriptors(Attacker& attacker) {
  return {&attacker.descriptor(incoming, 0), 64 * sizeof(Descriptor)};
}
Rewriter one_length(Attacker& attacker) {
  return flip<std::uint32_t>(&attacker.descriptor(outgoing, 0).length, 76, 0xffffff00);
}
Rewriter one_address(Attacker& attacker) {
  Descriptor& it = attacker.descriptor(outgoing, 0);
  return flip<std::uint64_t>(&it.address, it.address, std::uint64_t{1} << 50);
}
Rewriter one_receive_length(Attacker& attacker) {
  return flip<std::uint32_t>(&attacker.descriptor(incoming, 0).length, 2048, 1);
}
Rewriter one_flag(Attacker& attacker) {
  return flip<std::uint16_t>(&attacker.descriptor(outgoing, 0).flags, 0, next | indirect);
}
Rewriter avail_index(Attacker& attacker) { return {attacker.avail(outgoing) + 1, 2}; }
Rewriter heads(Attacker& attacker) { return {attacker.avail(outgoing) + 2, 64 * 2}; }
Rewriter used_rings(Attacker& attacker) { return {attacker.used(outgoing), 4 + 64 * 8}; }

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
  entries[1] = {buffer, 64, 0, 0};
  return Rewriter([=, which = 0U](std::mt19937_64&) mutable {
    const std::array versions{Descriptor{buffer, 12, next, 1}, Descriptor{buffer, 12, next, 60000},
                              Descriptor{std::uint64_t{1} << 50, 12, next, 1}, Descriptor{buffer, 12, indirect, 1}};
    for (int i = 0; i < 64; ++i) std::memcpy(static_cast<void*>(entries), &versions[which % 4], sizeof(Descriptor));
    ++which;
  });
}
/// Both rings and all their buffers.
Rewriter everything(Attacker& attacker) {
  return {reinterpret_cast<void*>(attacker.guest().memory().description(0).front_end_address), 256 << 10};
}

}  // namespace

void add_rewriting_attacks(Attacks& attacks) {
  const struct {
    const char* name;
    const char* cve;
    Rewriter (*what)(Attacker&);
  } table[]{
      {"descriptors", "2026-93683", all_descriptors},
      {"descriptors-of-the-receive-ring", "2026-93683", all_receive_descriptors},
      {"the-length-of-one", "2026-93683", one_length},
      {"the-address-of-one", "2026-93683", one_address},
      {"the-length-of-one-receive-buffer", "2026-93683", one_receive_length},
      {"the-flags-of-one", "2026-93683", one_flag},
      {"avail-index", "2026-93683", avail_index},
      {"heads", "2026-93683", heads},
      {"used-ring", "", used_rings},
      {"checksum-offset-of-a-net-header", "2024-11614", net_header},
      {"segment-size-of-a-net-header", "2024-11614", segment_size},
      {"packets", "", packet_bytes},
      {"indirect-table", "2026-93683", indirect_table},
      {"everything", "2026-93683", everything},
  };
  Group group(attacks, "rewriting");
  for (const auto& row : table) {
    group.add(row.name, survived(), while_rewriting(row.what), row.cve);
    group.add((std::string(row.name) + "-on-a-port-that-lends").c_str(), survived(), while_rewriting(row.what), row.cve,
              Socket::lending);
  }
}

}  // namespace vhostx::hostile
