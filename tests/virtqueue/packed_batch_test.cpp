// SPDX-License-Identifier: BSD-3-Clause
// How far a batch looks into a packed ring.
#include "virtqueue/packed_batch.hpp"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "tests/virtqueue/queue_ring.hpp"

namespace vhostx::virtqueue {
namespace {

using Ring = test::QueueRing<test::PackedKind>;
using LongBatch = PackedQueue<>::Batch<Shape<Direction::writable, 12, 1, 65535>>;

void post_long(Ring& ring, std::uint32_t entries) {
  auto chain = ring.driver.chain();
  for (std::uint32_t i = 0; i < entries; ++i) chain.raw(0x1000, 0, Descriptor::write_flag);
  chain.publish();
}

// Whoever takes one packet a batch looks again at what is behind it: with chains of 1000 entries at all of a large
// ring, for each packet.
TEST(PackedBatch, LooksAtNoMoreThanItsPartOfACall) {
  Ring ring(16384);
  for (int i = 0; i < 16; ++i) post_long(ring, 1000);
  auto queue = ring.queue();
  const auto batch = std::make_unique<LongBatch>();
  memory::GuestMemory::Hint hint;
  for (int taken = 0; taken < 16; ++taken) {
    ASSERT_NE(queue.ready(), 0) << taken;
    const std::uint16_t found =
        batch->load(queue, *ring.memory, std::min<std::uint16_t>(queue.ready(), 32), 1500, hint);
    ASSERT_GE(found, 1);
    EXPECT_LE(found, 2);
    Chain chain;
    ASSERT_EQ(queue.take(chain), Take::chain);
    EXPECT_EQ(chain.entries, 1000U);
    queue.give_back(chain, 0);
  }
  EXPECT_EQ(queue.ready(), 0);
  queue.publish();
}

TEST(PackedBatch, LooksAtAllOfChainsAsDriversMakeThem) {
  Ring ring(1024);
  for (int i = 0; i < 32; ++i) post_long(ring, 19);
  auto queue = ring.queue();
  const auto batch = std::make_unique<LongBatch>();
  memory::GuestMemory::Hint hint;
  ASSERT_EQ(queue.ready(), 32);
  EXPECT_EQ(batch->load(queue, *ring.memory, 32, 1500, hint), 32);
}

}  // namespace
}  // namespace vhostx::virtqueue
