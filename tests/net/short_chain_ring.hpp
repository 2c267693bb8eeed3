// SPDX-License-Identifier: BSD-3-Clause
// A ring in either direction with chains of all kinds that batches know, and some that they do not, for tests of both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/ring_fixture.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::test {

using virtqueue::Descriptor;

/// The last two: by the halves of a transfer.
enum class Way { from_guest, to_guest, peeked, moved };
constexpr bool is_to_guest(Way way) { return way == Way::to_guest || way == Way::moved; }

/// A ring in either direction, and packets of 60 bytes and more through it.
struct ShortChainRing : RingFixture {
  ShortChainRing(std::uint64_t negotiated, Way direction, std::uint16_t ring_size = 128, bool indirect = true,
                 bool event_idx = false)
      : RingFixture(negotiated, ring_size, {{0x4000'0000, 4 << 20}, {0x5000'0000, 1 << 20}},
                    {.indirect = indirect, .event_idx = event_idx}),
        way(direction),
        header(net::header_length(negotiated)),
        kinds(indirect ? 5 : 3) {
    transferring = way == Way::peeked || way == Way::moved;
  }

  std::uint16_t flag() const { return is_to_guest(way) ? Descriptor::write_flag : std::uint16_t{0}; }
  Bytes packet(std::size_t number) const { return pattern(60 + number % 50, static_cast<std::uint8_t>(number)); }
  /// A buffer of these bytes; to the guest, room for as many.
  GuestDescriptor buffer(const Bytes& bytes) {
    const std::uint64_t address = guest.allocate(std::max<std::size_t>(bytes.size(), 1));
    if (!is_to_guest(way)) std::copy(bytes.begin(), bytes.end(), guest.at(address));
    return {address, static_cast<std::uint32_t>(bytes.size()), flag(), 0};
  }
  GuestDescriptor header_buffer() { return buffer(header_bytes(features)); }

  /// A good chain for packet(number): header and packet in one descriptor, in two, and in three; then in an indirect
  /// table in one and in two.
  std::uint16_t publish_good(std::size_t number) { return publish_kind(number % kinds, number); }
  std::uint16_t publish_kind(std::size_t kind, std::size_t number) {
    const Bytes bytes = packet(number);
    auto chain = driver.chain();
    const auto add = [&chain](const GuestDescriptor& one) { chain.raw(one.address, one.length, one.flags); };
    if (kind >= 3) chain.indirect();
    if (kind == 0 || kind == 3) {
      add(buffer(join(header_bytes(features), bytes)));
    } else {
      add(header_buffer());
      add(buffer(bytes));
    }
    if (kind == 2) add(buffer({}));
    return chain.publish();
  }

  /// Both descriptors of a chain as they stand, linked however they say. Returns the head, which is made available.
  std::uint16_t publish_raw(const GuestDescriptor& first, const GuestDescriptor& second) {
    if (driver.kind() == virtqueue::RingKind::packed)  // one after the other
      return driver.chain()
          .raw(first.address, first.length, first.flags)
          .raw(second.address, second.length, second.flags)
          .publish();
    const std::uint16_t head = driver.chain().raw(0, 0).raw(0, 0).write();
    const std::uint16_t next = driver.descriptor(head).next;
    driver.descriptor(head) = first;
    driver.descriptor(head).next = (first.flags & Descriptor::next_flag) != 0 && first.next == 0 ? next : first.next;
    driver.descriptor(next) = second;
    driver.publish_head(head);
    return head;
  }
  /// A chain with an indirect table of those, as they stand, that says to have `length` bytes.
  std::uint16_t publish_table(const std::vector<GuestDescriptor>& entries, std::uint32_t length) {
    const std::uint64_t table = guest.allocate(std::max<std::size_t>(entries.size(), 1) * sizeof(GuestDescriptor), 16);
    for (std::size_t i = 0; i < entries.size(); ++i) driver.put_in_table(table + i * sizeof entries[i], entries[i]);
    return driver.chain().raw(table, length, Descriptor::indirect_flag).publish();
  }

  /// Bursts of up to `count`, until nothing moves. How many packets came through; they have to be those of packet().
  std::size_t deliver(std::uint16_t count) {
    std::size_t all = 0;
    for (std::size_t now = 1; now != 0 && cursor.fault.cause == VringFaultCause::none; all += now)
      now = !is_to_guest(way) ? take(count, all) : give(count, all);
    return all;
  }
  std::size_t take(std::uint16_t count, std::size_t first) {
    const auto packets = dequeue(count);
    for (std::size_t i = 0; i < packets.size(); ++i) EXPECT_EQ(packets[i], packet(first + i)) << first + i;
    return packets.size();
  }
  std::size_t give(std::uint16_t count, std::size_t first) {
    std::vector<rte_mbuf*> packets;
    for (std::size_t i = 0; i < count; ++i) packets.push_back(make_packet(test_pool(), packet(first + i)));
    const std::size_t done = enqueue(packets);
    for (rte_mbuf* one : packets) rte_pktmbuf_free(one);
    return done;
  }

  /// Used are just these heads, in that order.
  void expect_used(const std::vector<std::uint16_t>& heads) {
    const auto used = driver.reap();
    ASSERT_EQ(used.size(), heads.size());
    for (std::size_t i = 0; i < used.size(); ++i) {
      EXPECT_EQ(used[i].head, heads[i]) << i;
      EXPECT_EQ(used[i].length, !is_to_guest(way) ? 0U : header + packet(i).size()) << i;
      if (is_to_guest(way) && used[i].length > header) {
        const Bytes got = driver.bytes_of(used[i]);
        EXPECT_EQ(Bytes(got.begin() + header, got.end()), packet(i)) << i;
        EXPECT_EQ(Bytes(got.begin(), got.begin() + 10), Bytes(10)) << i;
      }
    }
  }

  Way way;
  std::uint16_t header;
  std::size_t kinds;
};

}  // namespace vhostx::test
