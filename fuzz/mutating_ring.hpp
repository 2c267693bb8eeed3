// SPDX-License-Identifier: BSD-3-Clause
// A ring of a MutatingGuest, of either kind, written twice: as the data path finds it, and as the guest rewrites it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fuzz/choices.hpp"
#include "fuzz/mutating_guest.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/net/packets.hpp"
#include "tests/support/fake_driver.hpp"

namespace vhostx::fuzz {

/// Chains share nothing, and a chain leads forward only: no byte is read for two purposes, whichever of the two
/// versions of it is read. What loops and overlaps do is fuzz_dequeue's and fuzz_enqueue's.
class MutatingRing {
 public:
  static constexpr std::uint32_t chain_entries = 4;  // of the ring's table, and of each chain's own
  static constexpr std::uint32_t chains_max = 8;

  /// `in_order_too`: where all that a call uses is shown at once. Else one used descriptor may stand for more or fewer.
  MutatingRing(MutatingGuest& guest, Choices& choices, bool for_guest, virtqueue::RingKind ring_kind, bool in_order_too)
      : to_guest(for_guest),
        kind(ring_kind),
        features(pick_features(choices)),
        net_header_bytes(net::header_length(features)),
        chains_(choices.pick<std::uint32_t>({1, 2, 4, 8, 8, 8})),
        packed_(is_packed() ? pick_packed(choices, chains_) : Packed()),
        size(is_packed() ? packed_.size : chain_entries * chains_),
        start(pick_start(choices)),
        ring_features{.indirect = !choices.one_in(8),
                      .event_idx = choices.one_in(3),
                      .in_order = is_packed() && choices.one_in(4) && in_order_too},
        choices_(choices) {
    guest.clear();
    for (test::FakeGuest* version : {&guest.real, &guest.hostile}) write(*version);
  }

  static std::vector<test::FakeGuest::Region> places() {
    std::vector<test::FakeGuest::Region> all{{table, 0x3000}, {large_at, 0x18000}};
    for (std::uint32_t i = 0; i < chains_max * slots; ++i)
      for (const std::uint64_t half : {std::uint64_t{0}, half_bytes}) all.push_back({slot_at(i) + half, half_bytes});
    return all;
  }

  Result<virtqueue::AnyLayout> lay_out(const test::FakeGuest& guest, const memory::GuestMemory& memory) const {
    return virtqueue::lay_out_ring(
        kind, memory, {guest.front_end(table), guest.front_end(avail), guest.front_end(used)}, size, ring_features);
  }
  bool is_packed() const { return kind == virtqueue::RingKind::packed; }
  /// Both versions have chains of the same lengths and ids, and make the same ones available: which ones there are is
  /// looked at before what they consist of. Else a burst may see the chains of one version and the buffers of the
  /// other.
  bool is_comparable() const { return !packed_.wild; }
  /// All that is not of a ring: header and payload of packets.
  template <typename Use>
  static void for_each_buffer(Use use) {
    for (std::uint32_t i = 0; i < chains_max * slots; ++i) {
      if (i % slots >= table_slot) continue;
      use(slot_at(i), half_bytes);
      use(slot_at(i) + half_bytes, half_bytes);
    }
    use(large_at, std::uint64_t{chains_max} * 0x1000);
  }

  static constexpr std::uint64_t table = 0x10000;
  static constexpr std::uint64_t avail = table + 0x1000;
  static constexpr std::uint64_t used = table + 0x2000;
  /// A region as guests have them, so large that most addresses are found by one comparison.
  static constexpr std::uint64_t large_at = 0x8000000;

 private:
  /// Of a packed ring.
  struct Packed {
    bool wild = false;
    std::uint32_t size = 0;
    std::uint32_t available = 0;         // chains
    std::vector<std::uint32_t> entries;  // by chain
    std::vector<std::uint16_t> ids;      // likewise
  };

 public:
  const bool to_guest;
  const virtqueue::RingKind kind;
  const std::uint64_t features;
  const std::uint16_t net_header_bytes;

 private:
  const std::uint32_t chains_;
  const Packed packed_;

 public:
  const std::uint32_t size;
  const std::uint16_t start;  ///< Where both indices begin; in a packed ring a PackedPosition.
  const virtqueue::RingFeatures ring_features;

 private:
  using Descriptor = virtqueue::Descriptor;

  // Of each chain: a slot for the buffer of each of its descriptors, for those in its table, and for the table that
  // each of its descriptors may be of (not one for all: half of a descriptor may be of one version and half of the
  // other). A slot is two neighbouring regions, and no memory follows.
  static constexpr std::uint32_t slots = 3 * chain_entries;
  static constexpr std::uint32_t table_slot = 2 * chain_entries;  // the first
  static constexpr std::uint64_t half_bytes = 0x180;
  static constexpr std::uint64_t slot_at(std::uint32_t i) { return 0x100000 + std::uint64_t{i} * 0x1000; }

  static std::uint64_t pick_features(Choices& choices) {
    constexpr std::uint64_t mergeable = net::feature_version_1 | net::feature_mrg_rxbuf;
    constexpr std::uint64_t from = net::feature_csum | net::feature_host_tso4 | net::feature_host_tso6 |
                                   net::feature_host_uso | net::feature_host_ecn;
    return choices.pick(
        {mergeable, net::feature_version_1, std::uint64_t{0}, mergeable | from, mergeable | from, from});
  }

  static Packed pick_packed(Choices& choices, std::uint32_t chains) {
    Packed all{.wild = choices.one_in(4)};
    for (std::uint32_t i = 0; i < chains; ++i) {
      all.entries.push_back(choices.pick<std::uint32_t>({1, 1, 2, 3, 4}));
      all.ids.push_back(choices.one_in(4) ? choices.pick<std::uint16_t>({0, 0xffff})
                                          : static_cast<std::uint16_t>(i * 7919));
      all.size += all.entries.back();
    }
    all.size += choices.one_in(2) ? 0 : 1 + choices.below(3);
    all.available = choices.one_in(8) ? choices.below(chains + 1) : chains;
    return all;
  }
  std::uint16_t pick_start(Choices& choices) const {
    const auto any = choices.pick<std::uint16_t>({0, 0, 65533, 5});
    return is_packed() ? static_cast<std::uint16_t>((any & 1U) << 15 | any % size) : any;
  }

  void write(test::FakeGuest& guest) {
    if (is_packed()) return write_packed(guest);
    for (std::uint32_t chain = 0; chain < size / chain_entries; ++chain) write_chain(guest, chain);
    auto* const words = guest.at_as<std::uint16_t>(avail);
    words[0] = choices_.one_in(4) ? 1 : 0;
    words[2 + size] = choices_.byte();  // used_event
    const std::uint32_t chains = size / chain_entries;
    for (std::uint32_t i = 0; i < chains; ++i) {
      const std::uint32_t head = i * chain_entries;
      words[2 + (start + i) % size] = static_cast<std::uint16_t>(
          choices_.one_in(8) ? choices_.pick({head + 1, size, std::uint32_t{0xffff}}) : head);
    }
    // Behind the last head there are zeros, the first chain again: all chains, fewer, or more than a ring holds.
    const std::uint32_t available =
        choices_.one_in(8) ? choices_.pick({chains - 1, 0U, size + chains + 1, 40000U}) : chains;
    words[1] = static_cast<std::uint16_t>(start + available);
  }

  // What is not available was used in the lap before.
  void write_packed(test::FakeGuest& guest) {
    auto* const event = guest.at_as<std::uint16_t>(avail);
    event[0] = static_cast<std::uint16_t>(choices_.byte() | choices_.below(2) << 15);
    event[1] = choices_.pick<std::uint16_t>({0, 1, 2, 3});
    auto* const ring = guest.at_as<test::GuestPackedDescriptor>(table);
    virtqueue::PackedPosition place{start};
    for (std::uint32_t chain = 0; chain < chains_; ++chain)
      for (std::uint32_t k = 0; k < packed_.entries[chain]; ++k, place = place.after(1, size)) {
        const test::GuestDescriptor one = entry_of(guest, chain, k);
        ring[place.index()] = {one.address, one.length, packed_.ids[chain], packed_flags(one.flags, place, chain, k)};
        if (packed_.wild && choices_.one_in(2)) ring[place.index()].id = choices_.byte();
      }
    for (; place.index() != virtqueue::PackedPosition{start}.index(); place = place.after(1, size))
      ring[place.index()].flags = used_before(place);
  }
  static std::uint16_t used_before(virtqueue::PackedPosition place) {
    return virtqueue::PackedPosition{static_cast<std::uint16_t>(place.value ^ virtqueue::PackedPosition::wrap_bit)}
        .used();
  }
  std::uint16_t packed_flags(std::uint16_t flags, virtqueue::PackedPosition place, std::uint32_t chain,
                             std::uint32_t k) {
    if (packed_.wild && choices_.one_in(4)) return static_cast<std::uint16_t>(choices_.byte() << 8 | choices_.byte());
    const bool more = k + 1 < packed_.entries[chain];
    const std::uint16_t turn = chain < packed_.available ? place.available() : used_before(place);
    return static_cast<std::uint16_t>((flags & (Descriptor::write_flag | Descriptor::indirect_flag)) | turn |
                                      (more ? Descriptor::next_flag : 0));
  }

  test::GuestDescriptor entry_of(test::FakeGuest& guest, std::uint32_t chain, std::uint32_t i) {
    return choices_.one_in(4) ? write_table(guest, chain, slot_at(chain * slots + table_slot + i))
                              : descriptor(guest, chain * slots + i, i, chain * chain_entries, size);
  }

  void write_chain(test::FakeGuest& guest, std::uint32_t chain) {
    for (std::uint32_t i = 0; i < chain_entries; ++i) {
      const std::uint32_t entry = chain * chain_entries + i;
      guest.at_as<test::GuestDescriptor>(table)[entry] = entry_of(guest, chain, i);
    }
  }

  /// A table in that slot, which may lie over its border; and a descriptor of it.
  test::GuestDescriptor write_table(test::FakeGuest& guest, std::uint32_t chain, std::uint64_t at) {
    if (choices_.one_in(3)) at += half_bytes - 24;
    for (std::uint32_t i = 0; i < chain_entries; ++i) {
      auto one = descriptor(guest, chain * slots + chain_entries + i, i, 0, choices_.pick({2U, 2U, 4U, 1U}));
      if (is_packed()) one = {one.address, one.length, 0xdead, one.flags};  // id and flags
      put(guest, at + i * sizeof one, &one, sizeof one);
    }
    return indirect(at);
  }

  test::GuestDescriptor indirect(std::uint64_t at) {
    const std::uint32_t length =
        choices_.one_in(8) ? choices_.pick({0U, 8U, 17U, 0xfffffff0U}) : 16 * (1 + choices_.below(4));
    return {at, length, choices_.one_in(8) ? choices_.pick<std::uint16_t>({5, 6, 7}) : Descriptor::indirect_flag, 0};
  }

  /// Entry `i` of a chain whose first is `first`, in a table of `entries`.
  test::GuestDescriptor descriptor(test::FakeGuest& guest, std::uint32_t slot, std::uint32_t i, std::uint32_t first,
                                   std::uint32_t entries) {
    const std::uint32_t length = pick_length(i);
    const bool in_large =
        i == 0 && first == slot / slots * chain_entries && entries == size && length <= 0x301 && choices_.one_in(2);
    const std::uint64_t begin = in_large ? large_at + slot / slots * 0x1000 : slot_at(slot);
    const std::uint64_t end = begin + 2 * half_bytes;
    const std::uint64_t middle = begin + half_bytes;
    const std::uint64_t at =
        length > 2 * half_bytes
            ? begin
            : choices_.pick({begin, begin, end - length, middle - length / 2, end + 1 - length, begin - 1});
    if (!to_guest && at >= begin) write_packet(guest, at, end, i);
    std::uint16_t flags = to_guest ? Descriptor::write_flag : std::uint16_t{0};
    if (i + 1 < chain_entries && choices_.one_in(2)) flags |= Descriptor::next_flag;
    if (choices_.one_in(16)) flags ^= choices_.pick<std::uint16_t>({1, 2, 4, 8});
    std::uint32_t next = first + i + 1;
    if (choices_.one_in(8)) next = choices_.pick({next + 1, entries, std::uint32_t{0xffff}});
    const bool backward = next <= first + i;
    const bool another_chain = next >= first + chain_entries && next != entries;
    if (backward || another_chain) next = 0xffff;
    return {at, length, flags, static_cast<std::uint16_t>(next)};
  }

  std::uint32_t pick_length(std::uint32_t i) {
    const std::uint32_t header = i == 0 ? net_header_bytes : 0U;
    return choices_.pick<std::uint32_t>({header + 60, header, header + 250, header + 60, header + 13, header + 14, 0, 1,
                                         header + 1U, 0x180, 0x300, 0x301, 0xfffffff0});
  }

  /// A net header, where the first buffer begins, and a packet that it may speak of.
  void write_packet(test::FakeGuest& guest, std::uint64_t at, std::uint64_t end, std::uint32_t i) {
    static const auto packets = some_packets();
    const auto& packet = packets[choices_.below(static_cast<std::uint32_t>(packets.size()))];
    net::VirtioNetHeader header;
    if (choices_.one_in(3)) header = wish(packet);
    const std::size_t lead = i == 0 ? net_header_bytes : 0;
    put(guest, at, &header, lead);
    if (at + lead < end) put(guest, at + lead, packet.bytes.data(), packet.bytes.size());
  }

  net::VirtioNetHeader wish(const test::TestPacket& packet) {
    const bool is_tcp = packet.shape.protocol == test::tcp;
    net::VirtioNetHeader header{.flags = net::header_needs_csum,
                                .csum_start = static_cast<std::uint16_t>(packet.l4),
                                .csum_offset = static_cast<std::uint16_t>(is_tcp ? 16 : 6)};
    if (choices_.one_in(2)) {
      header.gso_type = !is_tcp ? net::gso_udp_l4 : packet.shape.ipv6 ? net::gso_tcpv6 : net::gso_tcpv4;
      header.gso_size = choices_.pick<std::uint16_t>({64, 1, 0, 1400});
    }
    if (choices_.one_in(4)) header.csum_start = choices_.pick<std::uint16_t>({0, 14, 60, 0xffff});
    if (choices_.one_in(8)) header.hdr_len = 0xffff;
    return header;
  }

  static std::vector<test::TestPacket> some_packets() {
    std::vector<test::TestPacket> all;
    for (const std::uint8_t protocol : {test::tcp, test::udp})
      for (const bool ipv6 : {false, true})
        all.push_back(test::with_pseudo_sum(test::make_packet({.protocol = protocol, .ipv6 = ipv6, .payload = 400})));
    return all;
  }

  /// As much as there is memory for.
  static void put(test::FakeGuest& guest, std::uint64_t at, const void* from, std::size_t length) {
    const std::uint64_t begin = at & ~std::uint64_t{0xfff};
    for (const std::uint64_t border : {begin + half_bytes, begin + 2 * half_bytes}) {
      if (at >= border) continue;
      const auto part = std::min<std::size_t>(length, border - at);
      if (part != 0) std::memcpy(guest.at(at), from, part);
      from = static_cast<const std::uint8_t*>(from) + part;
      at += part;
      length -= part;
    }
  }

  Choices& choices_;
};

}  // namespace vhostx::fuzz
