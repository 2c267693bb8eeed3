// SPDX-License-Identifier: BSD-3-Clause
// Random rings against the model: the same packets, used entries, counters and bytes in the guest's memory.
#include "tests/net/chain_model.hpp"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/net/hostile_ring.hpp"
#include "tests/net/ring_comparison.hpp"
#include "tests/net/ring_fixture.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::HostileRing;
using test::HostileWorld;
using test::ModelResult;
using test::ModelRing;

test::WrittenRing written(const HostileWorld& world, const HostileRing& ring) {
  return {world.guest, world.regions, HostileRing::table, HostileRing::avail, HostileRing::used,
          ring.size,   ring.start,    ring.features,      ring.ring_features, ring.kind};
}

/// One ring, the data path over it, and what the model says of it.
struct Comparison {
  Comparison(HostileWorld& where, std::uint64_t seed, bool to_guest)
      : world(where), ring(where, seed, to_guest), what(written(where, ring)), data_path(what, *where.memory) {
    warm_hint();
  }

  /// As a burst before may have left it: nothing, where the first buffer lies, or elsewhere.
  void warm_hint() {
    const auto& first = world.guest.at_as<test::GuestDescriptor>(
        HostileRing::table)[ring.heads.empty() ? 0 : ring.heads[0] % ring.size];
    const auto address =
        ring.pick<std::uint64_t>({0, HostileWorld::large_at, first.address, first.address, first.address});
    world.memory->translate(memory::GuestAddress{address}, 1, data_path.cursor.hint);
  }

  test::AnyContext context() { return data_path.context(); }
  ModelRing model() const { return what.model(ring.heads); }
  void compare(const ModelResult& expected) { EXPECT_EQ(data_path.difference(expected), ""); }

  HostileWorld& world;
  HostileRing ring;
  const test::WrittenRing what;
  test::ComparedRing data_path;
  bool transferring = false;
};

std::vector<Bytes> dequeue_all(Comparison& one) {
  std::vector<Bytes> packets;
  const auto most = one.ring.pick<std::uint16_t>({1, 4, 32, 64});
  for (std::size_t burst = 0; burst <= 2 * one.ring.heads.size(); ++burst) {
    if (one.data_path.broken()) break;  // VringCore calls no more
    std::array<rte_mbuf*, 64> mbufs;
    const std::uint16_t taken = one.transferring
                                    ? test::dequeue_by_peeking(one.context(), test::test_pool(), mbufs.data(), most)
                                    : net::dequeue(one.context(), test::test_pool(), mbufs.data(), most).packets;
    for (std::uint16_t i = 0; i < taken; ++i) {
      const char* reason = nullptr;
      EXPECT_EQ(rte_mbuf_check(mbufs[i], 1, &reason), 0) << reason;
      packets.push_back(test::bytes_of(mbufs[i]));
    }
    rte_pktmbuf_free_bulk(mbufs.data(), taken);
  }
  EXPECT_EQ(rte_mempool_in_use_count(test::test_pool()), 0U);
  return packets;
}

void compare_from_guest(HostileWorld& world, std::uint64_t seed, bool transferring) {
  Comparison one(world, seed, false);
  one.transferring = transferring;
  const ModelResult expected = test::model_dequeue(one.model());
  const std::vector<Bytes> packets = dequeue_all(one);
  if (expected.depends()) return;
  ASSERT_EQ(packets.size(), expected.packets.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    ASSERT_TRUE(packets[i] == expected.packets[i]) << i;
    bytes += packets[i].size();
  }
  EXPECT_EQ(one.data_path.counters.snapshot()[VringCounter::packets], packets.size());
  EXPECT_EQ(one.data_path.counters.snapshot()[VringCounter::bytes], bytes);
  one.compare(expected);
}

/// What the model wrote is there, and everything else is as it was. `memory`: what was there before.
void compare_memory(HostileWorld& world, std::map<std::uint64_t, Bytes> memory, const ModelResult& expected) {
  auto region = memory.end();
  for (const auto& [address, byte] : expected.memory) {
    if (region == memory.end() || address - region->first >= region->second.size())
      region = std::prev(memory.upper_bound(address));
    region->second[address - region->first] = byte;
  }
  for (const auto& [guest, bytes] : memory) {
    if (guest == HostileWorld::ring_at) continue;
    ASSERT_EQ(std::memcmp(world.guest.at(guest), bytes.data(), bytes.size()), 0) << std::hex << guest;
  }
}

/// In bursts of one, of a few, or in one; how many packets were dealt with.
std::size_t enqueue_all(Comparison& one, const std::vector<rte_mbuf*>& mbufs, const std::vector<Bytes>& packets) {
  const auto most = one.ring.pick<std::size_t>({1, 4, mbufs.size()});
  std::size_t done = 0;
  while (done != mbufs.size() && !one.data_path.broken()) {
    const std::size_t count = std::min(most, mbufs.size() - done);
    const auto from = packets.begin() + static_cast<std::ptrdiff_t>(done);
    const std::uint16_t now =
        one.transferring ? test::enqueue_by_moving(one.context(), {from, from + static_cast<std::ptrdiff_t>(count)})
                         : net::enqueue(one.context(), mbufs.data() + done, static_cast<std::uint16_t>(count)).packets;
    done += now;
    if (now != count) break;
  }
  return done;
}

void compare_to_guest(HostileWorld& world, std::uint64_t seed, bool transferring) {
  Comparison one(world, seed, true);
  one.transferring = transferring;
  std::vector<Bytes> packets;
  std::vector<rte_mbuf*> mbufs;
  while (packets.size() < 20) {
    // Nobody transmits less than an Ethernet header.
    const auto least = transferring ? std::size_t{14} : std::size_t{0};
    const auto length =
        std::max(least, one.ring.pick<std::size_t>({0, 1, 14, 60, 60, 60, 60, 499, 500, 501, 512, 1024, 1600}));
    packets.push_back(test::pattern(length, static_cast<std::uint8_t>(packets.size())));
    mbufs.push_back(test::make_packet(test::test_pool(), packets.back(), one.ring.one_in(10) ? 50 : 65535));
  }
  auto before = world.fresh;
  for (auto& [guest, bytes] : before) std::memcpy(bytes.data(), world.guest.at(guest), bytes.size());
  const ModelResult expected = test::model_enqueue(one.model(), packets);
  const std::size_t done = enqueue_all(one, mbufs, packets);
  for (rte_mbuf* mbuf : mbufs) rte_pktmbuf_free(mbuf);
  if (expected.depends()) return;
  EXPECT_EQ(done, expected.done);
  one.compare(expected);
  compare_memory(world, std::move(before), expected);
}

/// Whether regions share slots of the index, and whether a transfer's halves do the work.
class ChainModel : public ::testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  ChainModel() { test::start_eal(); }
  /// `compare` with many seeds; the first that fails ends it and is named.
  template <typename Compare>
  void with_many_seeds(Compare compare) {
    HostileWorld world(std::get<0>(GetParam()));
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
      compare(world, seed, std::get<1>(GetParam()));
      ASSERT_FALSE(HasFailure()) << "seed " << seed;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Worlds, ChainModel, ::testing::Combine(::testing::Bool(), ::testing::Bool()));

TEST_P(ChainModel, FromTheGuest) { with_many_seeds(compare_from_guest); }
TEST_P(ChainModel, ToTheGuest) { with_many_seeds(compare_to_guest); }

}  // namespace
}  // namespace vhostx::net
