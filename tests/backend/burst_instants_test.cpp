// SPDX-License-Identifier: BSD-3-Clause
// A back-end is killed at every instant of a burst, and another one goes on. A burst is run one instruction at a time;
// the memory that each leaves behind is one that a kill may leave.
#include <array>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/kept_guests.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint16_t burst_most = 32;

/// Takes one burst and frees it. The packets' numbers are appended to `taken`.
std::uint16_t take(Port& port, std::size_t frame_bytes, std::vector<int>* taken = nullptr) {
  std::array<rte_mbuf*, burst_most> packets;
  const std::uint16_t count = port.from_guest().dequeue_burst(test_pool(), packets.data(), burst_most);
  for (std::uint16_t i = 0; i < count && taken != nullptr; ++i) {
    const auto* const bytes = rte_pktmbuf_mtod(packets[i], const std::uint8_t*);
    const Frame frame(bytes, bytes + rte_pktmbuf_data_len(packets[i]));
    std::memcpy(&taken->emplace_back(), bytes, sizeof(int));
    EXPECT_EQ(frame, numbered_frame(taken->back(), frame_bytes));
  }
  rte_pktmbuf_free_bulk(packets.data(), count);
  return count;
}

/// Delivers frames as one burst.
std::uint16_t deliver(Port& port, int first, int count, std::size_t frame_bytes) {
  std::array<rte_mbuf*, burst_most> packets;
  for (int i = 0; i < count; ++i) {
    rte_mbuf* const packet = packets[static_cast<std::size_t>(i)] = rte_pktmbuf_alloc(test_pool());
    const Frame frame = numbered_frame(first + i, frame_bytes);
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame_bytes)), frame.data(), frame_bytes);
  }
  const std::uint16_t sent = port.to_guest().enqueue_burst(packets.data(), static_cast<std::uint16_t>(count));
  rte_pktmbuf_free_bulk(packets.data(), static_cast<unsigned>(count));
  return sent;
}

/// Moves one burst, in `groups` calls of move().
std::uint16_t move(Transfer& transfer, Port& from, Port& to, std::uint16_t groups) {
  const std::uint16_t found = transfer.begin(from.from_guest(), burst_most);
  if (found == 0) return 0;
  std::array<std::uint8_t, burst_most> which;
  std::iota(which.begin(), which.end(), std::uint8_t{0});
  std::uint16_t moved = 0;
  for (std::uint16_t i = 1; i <= groups; ++i) {
    const auto end = static_cast<std::uint16_t>(found * i / groups);
    moved = static_cast<std::uint16_t>(
        moved + transfer.move(&which[moved], static_cast<std::uint16_t>(end - moved), to.to_guest()));
  }
  transfer.end(moved);
  return moved;
}

class BurstInstants : public ::testing::TestWithParam<GuestShape> {
 protected:
  BurstInstants() { test_pool(); }
  const GuestShape& shape() const { return GetParam(); }
  int packets() const { return shape().packets; }
  /// Each burst stores more often than it has packets: nothing was looked at in too coarse steps.
  void expect_many(const Instants& instants) const {
    EXPECT_GT(instants.instructions(), 100U);
    EXPECT_GT(instants.states(), static_cast<std::size_t>(packets()));
  }
};

TEST_P(BurstInstants, FromTheGuestAllThatWasNotGivenBackIsTakenAgain) {
  KeptGuest guest(shape());
  guest.transmit(0, packets());
  guest.kill();
  Instants instants({&guest});
  RECORD_OR_SKIP(instants, [&] { take(guest.dead_port(), shape().frame_bytes); });
  expect_many(instants);
  std::size_t last = 0;
  instants.each([&] {
    last = guest.given_back();
    Port& port = guest.adopt();
    std::vector<int> taken;
    while (take(port, shape().frame_bytes, &taken) != 0) {
    }
    const int begin = static_cast<int>(last);
    EXPECT_EQ(taken, numbers(begin, packets() - begin));
    EXPECT_EQ(guest.given_back(), static_cast<std::size_t>(packets()));
    guest.end_next();
  });
  EXPECT_EQ(last, static_cast<std::size_t>(packets())) << "the burst itself";
}

TEST_P(BurstInstants, ToTheGuestPacketsAreWholeOrNotThere) {
  KeptGuest guest(shape());
  guest.post_buffers();
  guest.kill();
  Instants instants({&guest});
  RECORD_OR_SKIP(instants, [&] { deliver(guest.dead_port(), 0, packets(), shape().frame_bytes); });
  expect_many(instants);
  std::vector<int> seen;
  instants.each([&] {
    seen = guest.received();
    EXPECT_EQ(seen, numbers(0, static_cast<int>(seen.size())));
    EXPECT_EQ(deliver(guest.adopt(), 100, 3, shape().frame_bytes), 3);
    std::vector<int> expected = seen;
    for (const int number : numbers(100, 3)) expected.push_back(number);
    EXPECT_EQ(guest.received(), expected);
    guest.end_next();
  });
  EXPECT_EQ(seen, numbers(0, packets())) << "the burst itself";
}

TEST_P(BurstInstants, OfADisabledRingEachBufferComesBackOnce) {
  KeptGuest guest(shape());
  guest.transmit(0, packets());
  guest.disable(1);
  guest.kill();
  Instants instants({&guest});
  RECORD_OR_SKIP(instants, [&] { take(guest.dead_port(), shape().frame_bytes); });
  instants.each([&] {
    guest.given_back();
    EXPECT_EQ(take(guest.adopt(), shape().frame_bytes), 0);
    EXPECT_EQ(guest.given_back(), static_cast<std::size_t>(packets()));
    guest.end_next();
  });
}

/// Between guests nothing is lost, and at most the burst is repeated.
void move_at_every_instant(const GuestShape& shape, std::uint16_t groups) {
  KeptGuest sender(shape);
  KeptGuest receiver(shape);
  sender.transmit(0, shape.packets);
  receiver.post_buffers();
  sender.kill();
  receiver.kill();
  const auto transfer = must(Transfer::create());
  Instants instants({&sender, &receiver});
  RECORD_OR_SKIP(instants, [&] { move(*transfer, sender.dead_port(), receiver.dead_port(), groups); });
  bool in_between = false;
  instants.each([&] {
    const int given_back = static_cast<int>(sender.given_back());
    std::vector<int> expected = receiver.received();
    in_between |= given_back < static_cast<int>(expected.size());
    EXPECT_EQ(expected, numbers(0, static_cast<int>(expected.size())));
    EXPECT_LE(given_back, static_cast<int>(expected.size())) << "given back and not delivered";
    Port& from = sender.adopt();
    Port& to = receiver.adopt();
    while (move(*transfer, from, to, groups) != 0) {
    }
    for (const int number : numbers(given_back, shape.packets - given_back)) expected.push_back(number);
    EXPECT_EQ(receiver.received(), expected);
    EXPECT_EQ(sender.given_back(), static_cast<std::size_t>(shape.packets));
    sender.end_next();
    receiver.end_next();
  });
  EXPECT_TRUE(in_between) << "delivered and not given back";
}

TEST_P(BurstInstants, BetweenGuestsNothingIsLost) { move_at_every_instant(shape(), 1); }
TEST_P(BurstInstants, BetweenGuestsNothingIsLostInSeveralMoves) { move_at_every_instant(shape(), 2); }

/// The lent ones come again with those that were not moved, before these.
TEST(TransferInstants, WhileOthersAreLentNothingIsLost) {
  test_pool();
  const GuestShape shape{.frame_bytes = 150};
  KeptGuest sender(shape, {.zero_copy = true, .copy_below = 100});
  KeptGuest receiver(shape);
  constexpr int lent = 2;
  sender.transmit(0, lent + shape.packets);
  receiver.post_buffers();
  sender.kill();
  receiver.kill();
  const auto transfer = must(Transfer::create());
  std::array<rte_mbuf*, lent> held;
  const auto burst = [&] {
    move(*transfer, sender.dead_port(), receiver.dead_port(), 2);
    rte_pktmbuf_free_bulk(held.data(), lent);
  };
  Instants instants({&sender, &receiver});
  RECORD_OR_SKIP(instants, burst,
                 [&] { sender.dead_port().from_guest().dequeue_burst(test_pool(), held.data(), lent); });
  std::size_t given_back = 0;
  instants.each([&] {
    given_back = sender.given_back();
    EXPECT_EQ(sender.given_back_numbers(), numbers(lent, static_cast<int>(given_back)));
    std::vector<int> expected = receiver.received();
    EXPECT_LE(given_back, expected.size()) << "given back and not delivered";
    Port& from = sender.adopt();
    Port& to = receiver.adopt();
    while (move(*transfer, from, to, 1) != 0) {
    }
    for (const int number : numbers(0, lent + shape.packets))
      if (number < lent || number >= lent + static_cast<int>(given_back)) expected.push_back(number);
    EXPECT_EQ(receiver.received(), expected);
    EXPECT_EQ(sender.given_back(), static_cast<std::size_t>(lent + shape.packets));
    sender.end_next();
    receiver.end_next();
  });
  EXPECT_EQ(given_back, static_cast<std::size_t>(shape.packets)) << "the burst itself";
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BurstInstants,
    ::testing::Values(GuestShape{.name = "single", .packets = 1}, GuestShape{.name = "batch", .packets = 5},
                      GuestShape{.name = "without_mergeable", .features = without_mergeable},
                      GuestShape{.name = "mergeable_over_several", .packets = 3, .frame_bytes = 150},
                      GuestShape{.name = "header_apart", .packets = 3, .header_apart = true},
                      GuestShape{.name = "indirect", .packets = 3, .header_apart = true, .indirect = true},
                      GuestShape{.name = "event_idx", .features = with_event_idx, .kicks = true},
                      GuestShape{.name = "kicks", .kicks = true}, GuestShape{.name = "recorded", .recorded = true}),
    [](const auto& shape) { return shape.param.name; });

/// As many as a burst takes.
INSTANTIATE_TEST_SUITE_P(Long, BurstInstants, ::testing::Values(GuestShape{.name = "full", .packets = 31}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace vhostx::test
