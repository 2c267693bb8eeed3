// SPDX-License-Identifier: BSD-3-Clause
// One ring with a driver on it and the data path behind it, for tests of dequeue and enqueue.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/net/any_context.hpp"
#include "tests/net/sender.hpp"
#include "tests/support/eal.hpp"
#include "tests/support/fake_driver.hpp"

namespace vhostx::test {

using Bytes = std::vector<std::uint8_t>;

/// Features that make a difference to a packet's net header and buffers.
inline constexpr std::uint64_t mergeable = net::feature_version_1 | net::feature_mrg_rxbuf;
inline constexpr std::uint64_t plain = net::feature_version_1;
inline constexpr std::uint64_t legacy = 0;  ///< A header of ten bytes.

/// `length` bytes that tell where they stand.
inline Bytes pattern(std::size_t length, std::uint8_t seed = 1) {
  Bytes out(length);
  for (std::size_t i = 0; i < length; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8) + seed);
  return out;
}

/// A net header as the driver puts it in front of a packet.
inline Bytes header_bytes(std::uint64_t features, const net::VirtioNetHeader& header = {}) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(&header);
  return {raw, raw + net::header_length(features)};
}

inline Bytes join(const Bytes& left, const Bytes& right) {
  Bytes both(left.size() + right.size());
  std::ranges::copy(right, std::ranges::copy(left, both.begin()).out);
  return both;
}

/// The bytes of an mbuf chain.
inline Bytes bytes_of(const rte_mbuf* mbuf) {
  Bytes out;
  for (; mbuf != nullptr; mbuf = mbuf->next) {
    const auto* data = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
    out.insert(out.end(), data, data + mbuf->data_len);
  }
  return out;
}

/// An mbuf chain with these bytes, at most `segment` in each mbuf.
inline rte_mbuf* make_packet(rte_mempool* pool, const Bytes& bytes, std::size_t segment = 65535) {
  rte_mbuf* head = nullptr;
  rte_mbuf* tail = nullptr;
  for (std::size_t offset = 0; offset < bytes.size() || head == nullptr;) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool);
    const std::size_t part = std::min({segment, bytes.size() - offset, std::size_t{rte_pktmbuf_tailroom(mbuf)}});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), part,
                reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(part))));
    offset += part;
    if (head == nullptr) {
      head = tail = mbuf;
      continue;
    }
    tail->next = mbuf;
    tail = mbuf;
    head->pkt_len += mbuf->data_len;
    ++head->nb_segs;
  }
  return head;
}

struct RingFixture {
  explicit RingFixture(std::uint64_t negotiated = net::feature_version_1 | net::feature_mrg_rxbuf,
                       std::uint16_t ring_size = 64, std::vector<FakeGuest::Region> regions = {{0x4000'0000, 8 << 20}},
                       virtqueue::RingFeatures ring_features = {.indirect = true})
      : features(negotiated),
        guest(regions),
        driver(guest, ring_size, ring_features),
        memory(guest.map()),
        layout(*driver.lay_out_any(*memory)) {
    cursor.position = driver.start();
    start_eal();
  }

  AnyContext context() { return {layout, *memory, cursor, counters, features, frame_max}; }

  /// A burst of up to `count`; the packets' bytes. All mbufs are freed.
  std::vector<Bytes> dequeue(std::uint16_t count = 64, rte_mempool* pool = test_pool()) {
    std::vector<rte_mbuf*> mbufs(count);
    const std::uint16_t taken = transferring ? dequeue_by_peeking(context(), pool, mbufs.data(), count)
                                             : net::dequeue(context(), pool, mbufs.data(), count).packets;
    std::vector<Bytes> packets;
    for (std::uint16_t i = 0; i < taken; ++i) {
      EXPECT_EQ(rte_mbuf_check(mbufs[i], 1, &check_reason), 0) << check_reason;
      packets.push_back(bytes_of(mbufs[i]));
      rte_pktmbuf_free(mbufs[i]);
    }
    return packets;
  }

  std::uint16_t enqueue(const std::vector<rte_mbuf*>& packets) {
    if (transferring) {
      std::vector<Bytes> bytes;
      for (const rte_mbuf* packet : packets) bytes.push_back(bytes_of(packet));
      return enqueue_by_moving(context(), bytes);
    }
    return net::enqueue(context(), packets.data(), static_cast<std::uint16_t>(packets.size())).packets;
  }

  std::uint64_t count(VringCounter id) const { return counters.snapshot()[id]; }

  std::uint64_t features;
  std::uint32_t frame_max = ~0U;
  FakeGuest guest;
  FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  virtqueue::AnyLayout layout;
  virtqueue::VringCursor cursor;
  net::RingCounters counters;
  bool transferring = false;  ///< The halves of a transfer do what dequeue and enqueue do.
  const char* check_reason = "";
};

}  // namespace vhostx::test
