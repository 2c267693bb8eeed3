// SPDX-License-Identifier: BSD-3-Clause
// Sender: a guest that transmits, and its packets looked at but not taken, for tests of what moves them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "net/move.hpp"
#include "net/peek.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/net/any_context.hpp"
#include "tests/support/fake_driver.hpp"

namespace vhostx::test {

class Sender {
 public:
  using Bytes = std::vector<std::uint8_t>;

  explicit Sender(std::uint64_t negotiated = net::feature_version_1 | net::feature_mrg_rxbuf,
                  std::vector<FakeGuest::Region> regions = {{0x7000'0000, std::size_t{2} << 20}},
                  std::uint16_t ring_size = 256)
      : features(negotiated),
        guest(regions),
        driver(guest, ring_size, {.indirect = true}),
        memory(guest.map()),
        layout(*driver.lay_out_any(*memory)) {
    cursor.position = driver.start();
  }

  AnyContext context() { return {layout, *memory, cursor, counters, features, ~0U}; }

  /// A packet, cut into descriptors of these lengths, header included; the last takes what is left.
  void send(const Bytes& bytes, const net::VirtioNetHeader& header = {}, const std::vector<std::size_t>& cuts = {},
            bool indirect = false) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
    Bytes whole(raw, raw + net::header_length(features));
    whole.insert(whole.end(), bytes.begin(), bytes.end());
    auto chain = driver.chain();
    if (indirect) chain.indirect();
    std::size_t at = 0;
    for (const std::size_t cut : cuts) {
      chain.readable(std::span(whole).subspan(at, cut));
      at += cut;
    }
    chain.readable(std::span(whole).subspan(at)).publish();
  }

  std::uint16_t peek(std::uint16_t count = net::batch_max) { return net::peek(context(), count, *burst).packets; }
  net::BurstResult give_back(std::uint16_t done) { return net::give_back(context(), *burst, done); }
  /// All packets of the burst, in order, to that ring.
  std::uint16_t move_to(const auto& to) {
    std::vector<std::uint8_t> which(burst->count);
    std::iota(which.begin(), which.end(), std::uint8_t{0});
    return net::move(to, *burst, which.data(), burst->count).packets;
  }
  std::uint64_t count(VringCounter id) const { return counters.snapshot()[id]; }

  std::uint64_t features;
  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  virtqueue::AnyLayout layout;
  virtqueue::VringCursor cursor;
  net::RingCounters counters;
  std::unique_ptr<net::PeekedBurst> burst = std::make_unique<net::PeekedBurst>();
};

/// What dequeue() does with up to `count` packets, done by peek() and copy_out(): in small steps, each of which leaves
/// packets behind that are found again. The mbufs are the caller's.
inline std::uint16_t dequeue_by_peeking(const auto& context, rte_mempool* pool, rte_mbuf** packets,
                                        std::uint16_t count) {
  static const auto burst = std::make_unique<net::PeekedBurst>();
  std::uint16_t all = 0;
  while (all < count && context.cursor.fault.cause == VringFaultCause::none) {
    const std::uint16_t found = net::peek(context, static_cast<std::uint16_t>(count - all), *burst).packets;
    if (found == 0) break;
    EXPECT_LE(found, count - all);
    const auto take = static_cast<std::uint16_t>(found - found / 3);
    for (std::uint16_t i = 0; i < take; ++i) {
      packets[all] = net::copy_out(*burst, i, pool);
      if (packets[all] == nullptr) {
        net::give_back(context, *burst, i);
        return all;
      }
      ++all;
    }
    net::give_back(context, *burst, take);
  }
  return all;
}

/// What enqueue() does with packets that ask for nothing, done by move(), in one burst for each 32.
inline std::uint16_t enqueue_by_moving(const auto& to, const std::vector<std::vector<std::uint8_t>>& packets) {
  Sender sender;
  std::uint16_t done = 0;
  while (done < packets.size() && to.cursor.fault.cause == VringFaultCause::none) {
    const std::size_t end = std::min<std::size_t>(packets.size(), done + net::batch_max);
    for (std::size_t i = done; i < end; ++i) sender.send(packets[i]);
    const std::uint16_t found = sender.peek();
    EXPECT_EQ(found, end - done);
    const std::uint16_t moved = sender.move_to(to);
    sender.give_back(found);
    sender.driver.reap();
    done = static_cast<std::uint16_t>(done + moved);
    if (moved != found) break;
  }
  return done;
}

}  // namespace vhostx::test
