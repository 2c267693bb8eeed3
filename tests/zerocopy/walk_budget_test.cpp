// SPDX-License-Identifier: BSD-3-Clause
// How much of a ring one call looks at, for each entry point: counted in descriptors and pages, not in time.
#include "virtqueue/walk_budget.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

#include <gtest/gtest.h>

#include "net/enqueue.hpp"
#include "net/move.hpp"
#include "net/peek.hpp"
#include "tests/zerocopy/loan_fixture.hpp"
#include "virtqueue/posted_sample.hpp"

namespace vhostx::test {
namespace {

using virtqueue::Descriptor;
constexpr std::uint32_t ring_size = virtqueue::ring_size_max;
constexpr std::uint64_t call_max = virtqueue::walk_descriptors_max + ring_size;

/// The largest ring, full of chains that all name one table.
struct FullRing : LoanFixture {
  explicit FullRing(std::uint64_t negotiated = mergeable,
                    std::vector<FakeGuest::Region> regions = {{0x4000'0000, 8 << 20}})
      : LoanFixture(negotiated, ring_size, std::move(regions)) {
    buffer = guest.allocate(0x2'0000, 4096);
    table = guest.allocate(ring_size * std::size_t{16}, 16);
  }

  /// `entries` descriptors of `length` bytes, all over one buffer.
  void fill(std::uint32_t entries, std::uint32_t length, std::uint16_t flags) {
    for (std::uint32_t i = 0; i < entries; ++i) {
      const bool last = i + 1 == entries;
      guest.at_as<GuestDescriptor>(table)[i] = {buffer, length,
                                                static_cast<std::uint16_t>(flags | (last ? 0 : Descriptor::next_flag)),
                                                static_cast<std::uint16_t>(last ? 0 : i + 1)};
    }
    for (std::uint32_t i = 0; i < ring_size; ++i) {
      driver.descriptor(static_cast<std::uint16_t>(i)) = {table, entries * 16, Descriptor::indirect_flag, 0};
      driver.set_avail_entry(static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(i));
    }
    refill();
  }
  /// All that was used is available again.
  void refill() { driver.set_avail_index(static_cast<std::uint16_t>(cursor.position.used_next + ring_size)); }

  /// Descriptors that `call` walks.
  template <typename Call>
  std::uint64_t walked(Call call) {
    const std::uint64_t before = cursor.meter.descriptors();
    call();
    return cursor.meter.descriptors() - before;
  }
  /// Calls until the ring is broken, each of them bounded.
  template <typename Call>
  int calls_until_fruitless(Call call) {
    int calls = 0;
    for (; calls < 40 && cursor.fault.cause == VringFaultCause::none; ++calls) EXPECT_LE(walked(call), call_max);
    EXPECT_EQ(cursor.fault.cause, VringFaultCause::fruitless);
    EXPECT_GE(cursor.fault.a, virtqueue::walk_descriptors_max);
    EXPECT_EQ(cursor.fault.b, virtqueue::fruitless_calls_max);
    return calls;
  }

  std::uint64_t buffer;
  std::uint64_t table;
};

struct Packets {
  explicit Packets(std::size_t count, std::size_t length = 60) {
    for (std::size_t i = 0; i < count; ++i) all.push_back(make_packet(test_pool(), pattern(length)));
  }
  ~Packets() {
    for (rte_mbuf* packet : all) rte_pktmbuf_free(packet);
  }
  std::vector<rte_mbuf*> all;
};

TEST(WalkBudget, Dequeue) {
  FullRing ring;
  ring.fill(ring_size, 0, 0);
  EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_TRUE(ring.dequeue().empty()); }), virtqueue::fruitless_calls_max);
  EXPECT_EQ(ring.driver.used_index(), virtqueue::fruitless_calls_max) << "a chain a call was given back";
}

TEST(WalkBudget, DequeueThatLends) {
  FullRing ring;
  ring.fill(ring_size, 0, 0);
  EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_TRUE(ring.lend().empty()); }), virtqueue::fruitless_calls_max);
}

TEST(WalkBudget, Peek) {
  FullRing ring;
  ring.fill(ring_size, 0, 0);
  const auto burst = std::make_unique<net::PeekedBurst>();
  EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_EQ(net::peek(ring.context(), 32, *burst).packets, 0); }),
            virtqueue::fruitless_calls_max);
}

// No chain has a byte: each packet is dropped after a whole budget, none comes back for ever.
TEST(WalkBudget, EnqueueIntoNothing) {
  for (const std::uint64_t features : {mergeable, plain}) {
    FullRing ring(features);
    ring.fill(ring_size, 0, Descriptor::write_flag);
    const Packets packets(32);
    EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_EQ(ring.enqueue(packets.all), 1); }),
              virtqueue::fruitless_calls_max);
    EXPECT_EQ(ring.count(VringCounter::drop_too_large), virtqueue::fruitless_calls_max);
  }
}

// The first buffer has the header, the others have nothing.
TEST(WalkBudget, EnqueueIntoManyBuffers) {
  FullRing ring;
  ring.fill(ring_size, 0, Descriptor::write_flag);
  ring.driver.descriptor(0) = {ring.buffer, 20, Descriptor::write_flag, 0};
  const Packets packets(32);
  EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_EQ(ring.enqueue(packets.all), 1); }),
            virtqueue::fruitless_calls_max);
}

TEST(WalkBudget, EnqueueInSegments) {
  FullRing ring;
  ring.fill(ring_size, 0, Descriptor::write_flag);
  rte_mbuf* packet = make_packet(test_pool(), pattern(1700));
  Bytes tcp = pattern(54, 0);
  const std::array<std::uint8_t, 24> ip{0x08, 0x00, 0x45, 0, 0x06, 0x96, 0, 0, 0, 0, 64,
                                        6,    0,    0,    1, 2,    3,    4, 5, 6, 7, 8};
  std::copy_n(ip.begin(), 22, tcp.begin() + 12);
  tcp[46] = 0x50;
  std::copy(tcp.begin(), tcp.end(), rte_pktmbuf_mtod(packet, std::uint8_t*));
  packet->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
  packet->tso_segsz = 100;
  EXPECT_EQ(ring.calls_until_fruitless([&] {
    EXPECT_EQ(ring.enqueue({packet, packet}), 1);
  }),
            virtqueue::fruitless_calls_max);
  EXPECT_EQ(ring.count(VringCounter::drop_bad_offload), 0U);
  rte_pktmbuf_free(packet);
}

TEST(WalkBudget, Borrow) {
  FullRing ring;
  ring.fill(ring_size, 0, Descriptor::write_flag);
  EXPECT_EQ(ring.calls_until_fruitless([&] { EXPECT_TRUE(ring.borrow().empty()); }), virtqueue::fruitless_calls_max);
}

TEST(WalkBudget, CommitOfWhatIsCopied) {
  FullRing ring;
  ring.fill(ring_size, 0, Descriptor::write_flag);
  EXPECT_LE(ring.walked([&] {
    Packets packets(8);
    EXPECT_EQ(ring.commit(packets.all), 1);
    packets.all.erase(packets.all.begin());
  }),
            call_max);
}

TEST(WalkBudget, DrainAndPollWalkNothing) {
  FullRing ring;
  ring.fill(ring_size, 0, 0);
  EXPECT_EQ(ring.walked([&] { net::drop_available(ring.context()); }), 0U);
  EXPECT_EQ(ring.count(VringCounter::drop_disabled), ring_size) << "each chain once";
  for (int i = 0; i < 40; ++i) {
    ring.refill();
    net::drop_available(ring.context());
  }
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none) << "a disabled ring is legal";
  EXPECT_EQ(ring.walked([&] { ring.poll(); }), 0U);
}

TEST(WalkBudget, TheLongestLegalChainIsServed) {
  FullRing ring;
  ring.fill(ring_size, 2, 0);
  for (int i = 0; i < 20; ++i) {
    std::vector<Bytes> packets;
    EXPECT_LE(ring.walked([&] { packets = ring.dequeue(); }), call_max);
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets[0].size(), ring_size * 2 - net::header_length(ring.features));
  }
  ring.fill(ring_size, 2, Descriptor::write_flag);
  const Packets packets(2, 2000);
  EXPECT_EQ(ring.enqueue(packets.all), 2);
}

/// Two bytes on each of 32768 pages.
struct ScatteredRing : FullRing {
  explicit ScatteredRing(std::uint16_t flags)
      : FullRing(mergeable, {{0x4000'0000, 8 << 20}, {far, std::size_t{ring_size} * 4096}}) {
    fill(ring_size, 2, flags);
    auto* const entries = guest.at_as<GuestDescriptor>(table);
    for (std::uint32_t i = 0; i < ring_size; ++i) entries[i].address = far + i * std::uint64_t{4096};
  }
  static constexpr std::uint64_t far = 0x8000'0000;

  template <typename Call>
  std::uint64_t pages(Call call) {
    const std::uint64_t before = cursor.meter.pages();
    call();
    return cursor.meter.pages() - before;
  }
};

// The kernel finds memory for each page that nobody has touched: a packet that has thousands of them is dropped.
TEST(WalkBudget, APacketIsOnSoManyPages) {
  constexpr std::uint64_t pages_max = virtqueue::walk_pages_max + 512;  // tables and rings are looked at, too
  ScatteredRing ring(0);
  EXPECT_LE(ring.pages([&] { EXPECT_TRUE(ring.dequeue(1).empty()); }), pages_max);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 1U);
  EXPECT_LE(ring.pages([&] { EXPECT_TRUE(ring.lend().empty()); }), pages_max);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 2U);
  const auto burst = std::make_unique<net::PeekedBurst>();
  EXPECT_LE(ring.pages([&] { EXPECT_EQ(net::peek(ring.context(), 1, *burst).packets, 0); }), pages_max);
  EXPECT_EQ(ring.count(VringCounter::drop_too_large), 3U);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);

  ScatteredRing receiver(Descriptor::write_flag);
  const Packets packets(1, 60000);
  EXPECT_LE(receiver.pages([&] { EXPECT_EQ(receiver.enqueue(packets.all), 1); }), pages_max);
  EXPECT_EQ(receiver.count(VringCounter::drop_too_large), 1U);
}

// Pages of 1 GiB count 32768 each: a packet in a few of them is an ordinary one.
TEST(WalkBudget, LargePagesAreNoScatter) {
  virtqueue::WalkMeter meter;
  const virtqueue::PacketMeter packet(meter);
  const auto look_at = [&meter](std::uint64_t page) {
    meter.touch(reinterpret_cast<const std::uint8_t*>(static_cast<std::uintptr_t>((page + 1) << 30)), 30);
  };
  for (std::uint64_t i = 0; i < virtqueue::packet_touches_usual; ++i) look_at(i);
  EXPECT_FALSE(packet.is_scattered());
  look_at(virtqueue::packet_touches_usual);
  EXPECT_TRUE(packet.is_scattered());
}

// Frames larger than any packet in 25 buffers: dropped for ever, a few of them a call, and the ring is not broken.
TEST(WalkBudget, WhatIsOnlyDroppedBreaksNothing) {
  FullRing ring;
  ring.fill(25, 4096, 0);
  for (int i = 1; i <= 40; ++i) {
    const std::uint64_t pages = ring.cursor.meter.pages();
    EXPECT_TRUE(ring.dequeue().empty());
    EXPECT_LE(ring.cursor.meter.pages() - pages, virtqueue::walk_pages_max + 32);
    EXPECT_GE(ring.count(VringCounter::drop_too_large), 100U * static_cast<unsigned>(i));
  }
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
}

// A header that asks for what was not negotiated, in one buffer: the straight path.
TEST(WalkBudget, BadHeadersBreakNothing) {
  FullRing ring;
  ring.fill(1, 100, 0);
  *ring.guest.at(ring.buffer) = 1;
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(ring.dequeue().empty());
    ring.refill();
  }
  EXPECT_GE(ring.count(VringCounter::drop_bad_header), 40U * (ring_size - 32));
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
}

TEST(WalkBudget, AnyPacketBeginsTheCountAnew) {
  FullRing ring;
  ring.fill(ring_size, 0, 0);
  for (std::uint16_t i = 15; i < 300; i = static_cast<std::uint16_t>(i + 15))
    ring.driver.descriptor(i) = {ring.buffer, 100, 0, 0};
  for (int i = 0; i < 60; ++i) ring.dequeue(1);
  EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
  EXPECT_GE(ring.count(VringCounter::packets), 3U);
}

// A packet and nothing but empty descriptors behind it: each is delivered, one a call.
TEST(WalkBudget, PacketsAtTheEndOfTheirBudget) {
  for (const bool lends : {false, true}) {
    FullRing ring;
    ring.fill(ring_size, 0, 0);
    ring.guest.at_as<GuestDescriptor>(ring.table)[0].length = 1500;
    for (int i = 0; i < 4; ++i)
      EXPECT_LE(ring.walked([&] {
        if (!lends) {
          EXPECT_EQ(ring.dequeue().size(), 1U);
          return;
        }
        const auto packets = ring.lend();
        EXPECT_EQ(packets.size(), 1U);
        for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
      }),
                call_max);
    EXPECT_EQ(ring.count(VringCounter::lent), lends ? 4U : 0U);
  }
}

// By hand, for the figures in SECURITY.md: --gtest_also_run_disabled_tests --gtest_filter='*Times'.
TEST(WalkBudget, DISABLED_Times) {
  const auto now_us = [] {  // of this thread on a processor: the machine may be busy
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
  };
  const auto time = [&now_us](const char* what, auto call) {
    const double before = now_us();
    call();
    std::printf("%-40s %9.0f us\n", what, now_us() - before);
  };
  for (int round = 0; round < 3; ++round) {
    FullRing empty;
    empty.fill(ring_size, 0, 0);
    empty.dequeue();
    time("dequeue, empty descriptors", [&] { empty.dequeue(); });
    empty.fill(1, 1, 0);
    time("dequeue, chains of one byte", [&] { empty.dequeue(); });
    empty.refill();
    time("drain", [&] { net::drop_available(empty.context()); });
    FullRing receiver;
    receiver.fill(ring_size, 0, Descriptor::write_flag);
    const Packets packets(32);
    receiver.enqueue(packets.all);
    time("enqueue, empty descriptors", [&] { receiver.enqueue(packets.all); });
    constexpr std::uint64_t cold_at = 0x8000'0000;
    FullRing cold(mergeable, {{0x4000'0000, 8 << 20}, {cold_at, std::size_t{512} << 20}});
    cold.fill(ring_size, 2, 0);
    auto* const table = cold.guest.at_as<GuestDescriptor>(cold.table);
    for (std::uint32_t i = 0; i < ring_size; ++i) table[i].address = cold_at + i * std::uint64_t{4096};
    time("dequeue, one packet on cold pages", [&] { cold.dequeue(1); });
    time("the same, warm", [&] { cold.dequeue(1); });
  }
}

TEST(WalkBudget, LargePagesCountByTheirSize) {
  virtqueue::WalkMeter meter;
  const auto* const at = reinterpret_cast<const std::uint8_t*>(std::uintptr_t{1} << 40);
  meter.touch(at, 12);
  EXPECT_EQ(meter.pages(), 1U);
  meter.touch(at + 100, 12);
  EXPECT_EQ(meter.pages(), 1U) << "looked at lately";
  meter.touch(at + (std::size_t{2} << 20), 21);
  EXPECT_EQ(meter.pages(), 65U);
  meter.touch(at + (std::size_t{1} << 30), 30);
  EXPECT_EQ(meter.pages(), 65U + 32768U);
}

TEST(WalkBudget, TheSampleOfBuffersLooksAtAFew) {
  FullRing ring;
  ring.fill(1, 100, 0);
  for (std::uint32_t i = 1; i < ring_size; ++i) ring.driver.descriptor(static_cast<std::uint16_t>(i)) = {0, 0, 0, 0};
  std::array<const std::uint8_t*, 4> out{};
  EXPECT_EQ(virtqueue::sample_posted(ring.layout.split, *ring.memory, out), 0U) << "the only good one is the oldest";
}

}  // namespace
}  // namespace vhostx::test
