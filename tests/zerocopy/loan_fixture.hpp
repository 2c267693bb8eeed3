// SPDX-License-Identifier: BSD-3-Clause
// A ring with a driver on it, and the calls that lend.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/ring_fixture.hpp"
#include "tests/zerocopy/any_calls.hpp"
#include "zerocopy/loan_table.hpp"

namespace vhostx::test {

inline constexpr std::uint64_t usual_net_features = net::feature_version_1 | net::feature_mrg_rxbuf;

/// Packets of 256 bytes and more are lent.
struct LoanFixture : RingFixture {
  explicit LoanFixture(std::uint64_t negotiated = usual_net_features, std::uint16_t ring_size = 64,
                       std::vector<FakeGuest::Region> regions = {{0x4000'0000, 8 << 20}},
                       zerocopy::LoanLimits limits = {.copy_below = 256})
      : RingFixture(negotiated, ring_size, std::move(regions)),
        dma(zerocopy::DmaMemory::create(memory, nullptr)),
        table(*zerocopy::LoanTable::create(ring_size, limits)) {}

  zerocopy::Lending lending() { return {*table, table->pin(dma)}; }

  /// A burst of up to `count`; the caller frees.
  std::vector<rte_mbuf*> lend(std::uint16_t count = 64, rte_mempool* pool = test_pool()) {
    std::vector<rte_mbuf*> packets(count);
    packets.resize(zerocopy::dequeue(context(), lending(), pool, packets.data(), count).packets);
    for (const rte_mbuf* packet : packets) EXPECT_EQ(rte_mbuf_check(packet, 1, &check_reason), 0) << check_reason;
    return packets;
  }
  std::uint16_t poll() { return zerocopy::return_transmitted(context(), *table).packets; }

  std::vector<rte_mbuf*> borrow(std::uint16_t count = 64, rte_mempool* pool = test_pool()) {
    std::vector<rte_mbuf*> buffers(count);
    buffers.resize(zerocopy::borrow(context(), lending(), pool, buffers.data(), count).packets);
    return buffers;
  }
  std::uint16_t commit(std::vector<rte_mbuf*> packets) {
    return zerocopy::commit(context(), lending(), packets.data(), static_cast<std::uint16_t>(packets.size())).packets;
  }

  /// The guest transmits `packet` behind an empty net header, in one buffer.
  std::uint16_t transmit(const Bytes& packet) {
    return driver.chain().readable(join(header_bytes(features), packet)).publish();
  }

  /// The same for tests that transmit for long: from a few buffers in turn, whatever is in them.
  void transmit_some(std::uint32_t length) {
    constexpr std::uint32_t room = 4096;
    if (room_ == 0) room_ = guest.allocate(std::size_t{128} * room);
    driver.chain().raw(room_ + (turn_++ % 128) * room, 12 + length).publish();
  }

  std::shared_ptr<const zerocopy::DmaMemory> dma;
  zerocopy::LoanTable::Owned table;

 private:
  std::uint64_t room_ = 0;
  std::uint64_t turn_ = 0;
};

inline bool is_lent(const rte_mbuf* packet) { return RTE_MBUF_HAS_EXTBUF(packet); }

/// Mbufs of the usual pool that are in use.
inline unsigned mbufs_in_use() { return rte_mempool_in_use_count(test_pool()); }

}  // namespace vhostx::test
