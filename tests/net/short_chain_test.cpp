// SPDX-License-Identifier: BSD-3-Clause
// Chains of one and two descriptors, direct and indirect, in batches of mixed kinds: what is right is delivered, a lie
// in the middle of a batch breaks the ring after what came before it.
#include <functional>
#include <initializer_list>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/short_chain_ring.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::GuestDescriptor;
using test::header_bytes;
using test::join;
using test::pattern;
using test::ShortChainRing;
using test::Way;
using virtqueue::Descriptor;

constexpr std::uint16_t next_flag = Descriptor::next_flag;
constexpr std::uint16_t write_flag = Descriptor::write_flag;
constexpr std::uint16_t indirect_flag = Descriptor::indirect_flag;

using test::mergeable;

class ShortChains : public ::testing::TestWithParam<std::tuple<std::uint64_t, Way>> {
 protected:
  std::uint64_t features() const { return std::get<0>(GetParam()); }
  Way way() const { return std::get<1>(GetParam()); }
  /// Not those of a packed ring that are to be read: see ChainWalker.
  bool tables_say_direction() const { return is_to_guest(way()) || test::tested_kind() == virtqueue::RingKind::split; }

  /// Good chains, the lie in their middle, for batches of several sizes and places in them.
  void expect_broken(VringFaultCause cause, const std::function<std::uint16_t(ShortChainRing&)>& lie,
                     bool indirect = true) {
    for (const std::uint16_t batch : std::initializer_list<std::uint16_t>{1, 4, 32})
      for (const int before : {0, 1, batch / 2, batch - 1}) {
        SCOPED_TRACE(::testing::Message() << "lie " << before << " of " << batch);
        ShortChainRing ring(features(), way(), 128, indirect);
        std::vector<std::uint16_t> good;
        for (int i = 0; i < before; ++i) good.push_back(ring.publish_good(good.size()));
        const std::uint16_t liar = lie(ring);
        for (int i = before + 1; i < batch; ++i) ring.publish_good(good.size());
        EXPECT_EQ(ring.deliver(batch), good.size());
        EXPECT_EQ(ring.cursor.fault.cause, cause);
        EXPECT_EQ(ring.cursor.fault.head, liar);
        ring.expect_used(good);
        EXPECT_EQ(rte_mempool_in_use_count(test::test_pool()), 0U);
      }
  }
};
INSTANTIATE_TEST_SUITE_P(Headers, ShortChains,
                         ::testing::Combine(::testing::Values(mergeable, feature_version_1, std::uint64_t{0}),
                                            ::testing::Values(Way::from_guest, Way::to_guest, Way::peeked,
                                                              Way::moved)));

TEST_P(ShortChains, EveryKindInBatchesOfEverySize) {
  for (const std::uint16_t batch : std::initializer_list<std::uint16_t>{1, 2, 3, 4, 5, 31, 32, 33, 64}) {
    ShortChainRing ring(features(), way());
    std::vector<std::uint16_t> good;
    for (int i = 0; i < 60; ++i) good.push_back(ring.publish_good(good.size()));
    EXPECT_EQ(ring.deliver(batch), 60U) << batch;
    ring.expect_used(good);
    EXPECT_EQ(ring.cursor.fault.cause, VringFaultCause::none);
  }
}

TEST_P(ShortChains, OneKindOnly) {
  for (std::size_t kind = 0; kind < 5; ++kind) {
    ShortChainRing ring(features(), way(), 256);
    std::vector<std::uint16_t> good;
    for (std::size_t i = 0; i < 40; ++i) good.push_back(ring.publish_kind(kind, i));
    EXPECT_EQ(ring.deliver(32), 40U) << kind;
    ring.expect_used(good);
  }
}

TEST_P(ShortChains, LoopsEnd) {
  VHOSTX_SPLIT_RINGS_ONLY;
  expect_broken(VringFaultCause::chain_too_long, [](ShortChainRing& ring) {  // to itself
    const std::uint16_t head = ring.publish_raw(ring.buffer({}), {});
    ring.driver.descriptor(head).flags |= next_flag;
    ring.driver.descriptor(head).next = head;
    return head;
  });
  expect_broken(VringFaultCause::chain_too_long, [](ShortChainRing& ring) {  // and back
    GuestDescriptor first = ring.buffer({});
    first.flags |= next_flag;
    const std::uint16_t head = ring.publish_raw(first, ring.buffer({}));
    auto& second = ring.driver.descriptor(ring.driver.descriptor(head).next);
    second.flags |= next_flag;
    second.next = head;
    return head;
  });
  expect_broken(VringFaultCause::chain_too_long, [](ShortChainRing& ring) {  // within a table
    std::vector<GuestDescriptor> table{ring.buffer({}), ring.buffer({})};
    table[0].flags |= next_flag;
    table[0].next = 1;
    table[1].flags |= next_flag;
    return ring.publish_table(table, 32);
  });
  expect_broken(VringFaultCause::chain_too_long, [](ShortChainRing& ring) {  // of a table of one
    std::vector<GuestDescriptor> table{ring.buffer({})};
    table[0].flags |= next_flag;
    return ring.publish_table(table, 16);
  });
}

TEST_P(ShortChains, NextOutsideItsTable) {
  VHOSTX_SPLIT_RINGS_ONLY;
  for (const std::uint16_t next : std::initializer_list<std::uint16_t>{128, 129, 32768, 65535})
    expect_broken(VringFaultCause::bad_next, [next](ShortChainRing& ring) {
      GuestDescriptor first = ring.header_buffer();
      first.flags |= next_flag;
      first.next = next;
      return ring.publish_raw(first, ring.buffer(pattern(100)));
    });
  for (const std::uint16_t next : std::initializer_list<std::uint16_t>{2, 3, 127, 65535})
    expect_broken(VringFaultCause::bad_next, [next](ShortChainRing& ring) {
      std::vector<GuestDescriptor> table{ring.header_buffer(), ring.buffer(pattern(100)), ring.buffer(pattern(100))};
      table[0].flags |= next_flag;
      table[0].next = next;
      return ring.publish_table(table, 32);
    });
  expect_broken(VringFaultCause::bad_next, [](ShortChainRing& ring) {  // what lies behind the table is none of it
    std::vector<GuestDescriptor> table{ring.header_buffer(), ring.buffer(pattern(100))};
    table[0].flags |= next_flag;
    table[0].next = 1;
    return ring.publish_table(table, 16);
  });
}

TEST_P(ShortChains, TablesOfOddLengths) {
  for (const std::uint32_t length : {0U, 1U, 8U, 15U, 17U, 31U, 33U, 47U, 0xffff'ffffU})
    expect_broken(VringFaultCause::bad_indirect, [length](ShortChainRing& ring) {
      std::vector<GuestDescriptor> table{ring.header_buffer(), ring.buffer(pattern(100)), {}};
      table[0].flags |= next_flag;
      table[0].next = 1;
      return ring.publish_table(table, length);
    });
}

TEST_P(ShortChains, TablesNobodyNegotiated) {
  for (const std::uint32_t entries : {1U, 2U, 3U})
    expect_broken(
        VringFaultCause::indirect_unsupported,
        [entries](ShortChainRing& ring) {
          const GuestDescriptor whole = ring.buffer(join(header_bytes(ring.features), pattern(100)));
          return ring.publish_table({whole, {}, {}}, entries * 16);
        },
        false);
}

TEST_P(ShortChains, TablesWithinTables) {
  for (const std::size_t where : {0U, 1U})
    for (const std::uint32_t length : {16U, 32U})
      expect_broken(VringFaultCause::bad_indirect, [=](ShortChainRing& ring) {
        std::vector<GuestDescriptor> table{ring.header_buffer(), ring.buffer(pattern(100))};
        const GuestDescriptor whole = ring.buffer(join(header_bytes(ring.features), pattern(100)));
        const std::uint64_t inner = ring.guest.allocate(32, 16);
        ring.driver.put_in_table(inner, whole);
        table[0].flags |= next_flag;
        table[0].next = 1;
        table[where] = {inner, length, static_cast<std::uint16_t>(ring.flag() | indirect_flag), 0};
        return ring.publish_table(table, 32);
      });
}

TEST_P(ShortChains, ATableWithANextBesideIt) {
  expect_broken(VringFaultCause::bad_indirect, [](ShortChainRing& ring) {
    const std::uint64_t table = ring.guest.allocate(16, 16);
    ring.driver.put_in_table(table, ring.buffer(join(header_bytes(ring.features), pattern(100))));
    return ring.publish_raw({table, 16, next_flag | indirect_flag, 0}, ring.buffer(pattern(100)));
  });
}

TEST_P(ShortChains, TheWrongDirectionInEitherDescriptor) {
  for (const std::size_t where : {0U, 1U}) {
    const auto lie = [where](ShortChainRing& ring) {
      std::vector<GuestDescriptor> both{ring.header_buffer(), ring.buffer(pattern(110))};
      both[0].flags |= next_flag;
      both[where].flags ^= write_flag;
      return both;
    };
    expect_broken(VringFaultCause::wrong_direction, [&lie](ShortChainRing& ring) {
      const auto both = lie(ring);
      return ring.publish_raw(both[0], both[1]);
    });
    if (!tables_say_direction()) continue;
    expect_broken(VringFaultCause::wrong_direction, [&lie](ShortChainRing& ring) {
      auto both = lie(ring);
      both[0].next = 1;
      return ring.publish_table(both, 32);
    });
  }
  if (!tables_say_direction()) return;
  expect_broken(VringFaultCause::wrong_direction, [](ShortChainRing& ring) {  // a table of one
    GuestDescriptor whole = ring.buffer(join(header_bytes(ring.features), pattern(110)));
    whole.flags ^= write_flag;
    return ring.publish_table({whole}, 16);
  });
}

TEST_P(ShortChains, BuffersOutsideMemory) {
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x5010'0000 - 20}, ~std::uint64_t{0} - 20})
    for (const std::size_t where : {0U, 1U}) {
      const auto lie = [=](ShortChainRing& ring) {
        std::vector<GuestDescriptor> both{ring.header_buffer(), ring.buffer(pattern(110))};
        both[0].flags |= next_flag;
        both[where].address = where == 0 ? address + 12 : address;  // 8 bytes of a header, 20 of a packet
        return both;
      };
      expect_broken(VringFaultCause::outside_memory, [&lie](ShortChainRing& ring) {
        const auto both = lie(ring);
        return ring.publish_raw(both[0], both[1]);
      });
      expect_broken(VringFaultCause::outside_memory, [&lie](ShortChainRing& ring) {
        auto both = lie(ring);
        both[0].next = 1;
        return ring.publish_table(both, 32);
      });
    }
}

// The first descriptor is the region's last, and good; the second would be behind it.
TEST_P(ShortChains, ATableOverTheEndOfMemory) {
  expect_broken(VringFaultCause::outside_memory, [](ShortChainRing& ring) {
    GuestDescriptor first = ring.header_buffer();
    first.flags |= next_flag;
    first.next = 1;
    const std::uint64_t table = 0x5010'0000 - sizeof first;
    ring.driver.put_in_table(table, first);
    return ring.driver.chain().raw(table, 32, indirect_flag).publish();
  });
}

// A packet to the guest ends such a loop: it is full some day.
TEST_P(ShortChains, ATableWhoseHeaderFollowsItself) {
  VHOSTX_SPLIT_RINGS_ONLY;
  if (is_to_guest(way())) return;
  expect_broken(VringFaultCause::chain_too_long, [](ShortChainRing& ring) {
    std::vector<GuestDescriptor> table{ring.header_buffer(), ring.buffer(pattern(100))};
    table[0].flags |= next_flag;
    return ring.publish_table(table, 32);
  });
}

TEST_P(ShortChains, TablesOutsideMemory) {
  for (const std::uint64_t address : {std::uint64_t{0x100}, std::uint64_t{0x5010'0000 - 8}, ~std::uint64_t{0} - 7})
    for (const std::uint32_t length : {16U, 32U})
      expect_broken(VringFaultCause::outside_memory, [=](ShortChainRing& ring) {
        return ring.driver.chain().raw(address, length, indirect_flag).publish();
      });
}

}  // namespace
}  // namespace vhostx::net
