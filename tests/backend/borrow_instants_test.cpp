// SPDX-License-Identifier: BSD-3-Clause
// A back-end that has borrowed receive buffers is killed at every instant of borrowing, committing and giving up;
// another one goes on. A packet is whole in the driver's hands or not there, and each buffer comes back once.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tests/backend/kept_guests.hpp"
#include "tests/support/single_step.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint16_t borrowed_most = 32;
constexpr int of_the_next_one = GuestShape::small_from;  // the number of its first packet

/// Appends bytes to a segment, behind its data.
std::size_t fill(rte_mbuf* segment, std::span<const std::uint8_t> bytes) {
  const std::size_t part = std::min<std::size_t>(bytes.size(), rte_pktmbuf_tailroom(segment));
  std::memcpy(rte_pktmbuf_mtod(segment, std::uint8_t*), bytes.data(), part);
  segment->data_len = static_cast<std::uint16_t>(part);
  return part;
}

/// An application that borrows buffers and writes packets into them. It frees what it has at its end.
class BorrowerOf {
 public:
  explicit BorrowerOf(Port& port) : ring_(port.to_guest()) {}

  std::uint16_t borrow(std::uint16_t count) {
    std::array<rte_mbuf*, borrowed_most> more;
    const std::uint16_t got = ring_.borrow_burst(test_pool(), more.data(), count);
    buffers_.insert(buffers_.end(), more.begin(), more.begin() + got);
    return got;
  }
  void must_borrow(std::uint16_t count) { require(borrow(count) == count); }

  /// Into the next buffers that were borrowed, as many as it takes. False: there are not enough.
  bool write(const Frame& frame) {
    std::span<const std::uint8_t> left(frame);
    rte_mbuf* packet = nullptr;
    while (!left.empty() && !buffers_.empty()) {
      rte_mbuf* const buffer = buffers_.front();
      buffers_.erase(buffers_.begin());
      if (packet != nullptr) buffer->data_off = 0;
      for (rte_mbuf* segment = buffer; segment != nullptr; segment = segment->next) {
        const std::size_t part = fill(segment, left);
        buffer->pkt_len += static_cast<std::uint32_t>(part);
        left = left.subspan(part);
      }
      if (packet == nullptr)
        packet = buffer;
      else
        require(rte_pktmbuf_chain(packet, buffer) == 0);
    }
    if (left.empty())
      written_.push_back(packet);
    else
      rte_pktmbuf_free(packet);
    return left.empty();
  }
  void must_write(const GuestShape& shape, int first, int count) {
    for (int number = first; number < first + count; ++number)
      require(write(numbered_frame(number, shape.bytes_of(number))));
  }
  /// A packet that is in no buffer of the guest.
  void write_elsewhere(const Frame& frame) {
    rte_mbuf* const packet = rte_pktmbuf_alloc(test_pool());
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(), frame.size());
    written_.push_back(packet);
  }

  std::uint16_t commit(std::size_t count) {
    const std::uint16_t done = ring_.commit_burst(written_.data(), static_cast<std::uint16_t>(count));
    written_.erase(written_.begin(), written_.begin() + done);
    return done;
  }
  void must_commit(std::size_t count) { require(commit(count) == count); }
  /// The last one first.
  void turn_round() { std::reverse(written_.begin(), written_.end()); }
  void give_up() {
    end();
    ring_.poll_completions();
  }
  /// Processes have the pool in common. The guest learns nothing of it.
  void end() {
    rte_pktmbuf_free_bulk(buffers_.data(), static_cast<unsigned>(buffers_.size()));
    rte_pktmbuf_free_bulk(written_.data(), static_cast<unsigned>(written_.size()));
    buffers_.clear();
    written_.clear();
  }

 private:
  static void require(bool good) {
    if (!good) throw std::runtime_error("the burst is not as it was meant to be");
  }

  Vring& ring_;
  std::vector<rte_mbuf*> buffers_, written_;
};

class BorrowInstants : public ::testing::TestWithParam<GuestShape> {
 protected:
  BorrowInstants() : guest_(shape(), {.zero_copy = true}) { test_pool(); }
  void SetUp() override {
    if (tested_kind() == virtqueue::RingKind::packed && !shape().indirect && (shape().header_apart || shape().pieces))
      GTEST_SKIP() << "of a packed ring only what takes one entry is borrowed";
  }
  ~BorrowInstants() override { EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U); }

  const GuestShape& shape() const { return GetParam(); }
  int packets() const { return shape().packets; }
  /// Buffers that the packets of a burst take.
  std::uint16_t buffers() const {
    const std::size_t first = shape().buffer_bytes - 12;
    const std::size_t more = shape().frame_bytes <= first ? 0 : shape().frame_bytes - first;
    const std::size_t of_one = 1 + (more + shape().buffer_bytes - 1) / shape().buffer_bytes;
    return static_cast<std::uint16_t>(of_one * static_cast<std::size_t>(packets()));
  }
  /// All that the driver posts: those, and more for others.
  std::size_t posted() const { return buffers() + 3U; }
  void begin(std::size_t count) {
    guest_.post_buffers(count);
    ASSERT_EQ(guest_.posted(0), count);
    guest_.kill();
  }
  Port& dead_port() { return guest_.dead_port(); }

  /// The next one fills what is left, and then all is back.
  void fill_the_rest(std::vector<int> expected) {
    BorrowerOf application(guest_.adopt());
    int number = of_the_next_one;
    while (application.borrow(borrowed_most) != 0) {
      std::size_t count = 0;
      for (; application.write(numbered_frame(number, GuestShape::small_bytes)); ++count) expected.push_back(number++);
      EXPECT_EQ(application.commit(count), count);
    }
    EXPECT_EQ(guest_.received(), expected);
    EXPECT_EQ(guest_.used_buffers(), guest_.posted(0));
    guest_.end_next();
  }
  /// At each instant the driver has the first of these packets, and no more buffers without one than were given up.
  void check(Instants& instants, const std::vector<int>& packets, std::size_t given_up = 0) {
    std::vector<int> seen;
    std::size_t empty = 0;
    instants.each([&] {
      seen = guest_.received();
      ASSERT_LE(seen.size(), packets.size());
      EXPECT_EQ(seen, std::vector<int>(packets.begin(), packets.begin() + static_cast<std::ptrdiff_t>(seen.size())));
      empty = guest_.empty_buffers();
      EXPECT_TRUE(empty == 0 || empty == given_up) << empty;
      fill_the_rest(seen);
      EXPECT_EQ(guest_.empty_buffers(), empty);
    });
    EXPECT_EQ(seen, packets) << "the burst itself";
    EXPECT_EQ(empty, given_up) << "the burst itself";
  }

  void commit_in_any_order();

  KeptGuest guest_;
};

TEST_P(BorrowInstants, WhatWasBorrowedIsOfferedAgain) {
  begin(posted());
  BorrowerOf application(dead_port());
  Instants instants({&guest_});
  RECORD_OR_SKIP(instants, [&] {
    application.must_borrow(buffers());
    application.end();
  });
  EXPECT_GT(instants.states(), std::size_t{buffers()});
  check(instants, {});
}

void BorrowInstants::commit_in_any_order() {
  begin(posted());
  BorrowerOf application(dead_port());
  Instants instants({&guest_});
  const auto half = static_cast<std::size_t>(packets()) / 2;
  const auto commit = [&] {
    application.must_commit(half);
    application.must_commit(static_cast<std::size_t>(packets()) - half);
  };
  RECORD_OR_SKIP(instants, commit, [&] {
    application.must_borrow(buffers());
    application.must_write(shape(), 0, packets());
    application.turn_round();
  });
  const auto in_order = numbers(0, packets());
  check(instants, {in_order.rbegin(), in_order.rend()});
}

TEST_P(BorrowInstants, WhatIsCommittedInAnyOrderIsThereOnceAndWhole) { commit_in_any_order(); }

/// A packet that is not in the guest's buffers is copied, and published apart.
TEST_P(BorrowInstants, WhatIsCopiedBetweenIsThereOnceAndWhole) {
  begin(posted());
  BorrowerOf application(dead_port());
  Instants instants({&guest_});
  const auto half = packets() / 2;
  RECORD_OR_SKIP(
      instants, [&] { application.must_commit(static_cast<std::size_t>(packets()) + 1); },
      [&] {
        application.must_borrow(buffers());
        application.must_write(shape(), 0, half);
        application.write_elsewhere(numbered_frame(half, shape().bytes_of(half)));
        application.must_write(shape(), half + 1, packets() - half);
      });
  check(instants, numbers(0, packets() + 1));
}

/// They are spare, and lent before others.
TEST_P(BorrowInstants, WhatIsGivenUpIsBorrowedAgain) {
  begin(posted());
  BorrowerOf application(dead_port());
  Instants instants({&guest_});
  const auto burst = [&] {
    application.give_up();
    application.must_borrow(static_cast<std::uint16_t>(buffers() + 1));
    application.must_write(shape(), 0, 1);
    application.must_commit(1);
    application.end();
  };
  RECORD_OR_SKIP(instants, burst, [&] { application.must_borrow(buffers()); });
  check(instants, {0});
}

TEST_P(BorrowInstants, WhatIsGivenUpComesBackEmptyWhereTheDriverHasNoOthers) {
  begin(buffers());
  BorrowerOf application(dead_port());
  Instants instants({&guest_});
  const int half = packets() / 2;
  const auto burst = [&] {
    application.must_commit(static_cast<std::size_t>(half));
    application.give_up();
  };
  RECORD_OR_SKIP(instants, burst, [&] {
    application.must_borrow(buffers());
    application.must_write(shape(), 0, packets());
  });
  check(instants, numbers(0, half), buffers() - static_cast<std::size_t>(buffers() / packets() * half));
}

/// By one back-end after the other, and each is killed.
TEST_P(BorrowInstants, WhatWasBorrowedTwiceComesBackOnce) {
  begin(posted());
  BorrowerOf first(dead_port());
  run_in_child([&] {
    first.must_borrow(static_cast<std::uint16_t>(buffers() - 1));
    first.end();
  });
  guest_.adopt();
  guest_.kill();
  BorrowerOf second(dead_port());
  Instants instants({&guest_});
  const auto borrow = [&] {
    second.must_borrow(buffers());
    second.must_write(shape(), 0, packets());
    second.turn_round();
  };
  RECORD_OR_SKIP(
      instants, [&] { second.must_commit(static_cast<std::size_t>(packets())); }, borrow);
  const auto in_order = numbers(0, packets());
  check(instants, {in_order.rbegin(), in_order.rend()});
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BorrowInstants,
    ::testing::Values(GuestShape{.name = "single", .packets = 1}, GuestShape{.name = "batch", .packets = 4},
                      GuestShape{.name = "without_mergeable", .features = without_mergeable, .packets = 2},
                      GuestShape{.name = "mergeable_over_several", .packets = 2, .frame_bytes = 150},
                      GuestShape{.name = "header_apart", .packets = 2, .header_apart = true},
                      GuestShape{.name = "pieces", .packets = 2, .frame_bytes = 120, .pieces = true},
                      GuestShape{.name = "indirect", .packets = 2, .indirect = true, .pieces = true},
                      GuestShape{.name = "event_idx", .features = with_event_idx, .packets = 2, .kicks = true},
                      GuestShape{.name = "event_idx_indirect",
                                 .features = with_event_idx_and_indirect,
                                 .packets = 2,
                                 .header_apart = true,
                                 .indirect = true,
                                 .kicks = true}),
    [](const auto& shape) { return shape.param.name; });

/// As many as a burst takes.
class LongBorrowInstants : public BorrowInstants {};
TEST_P(LongBorrowInstants, WhatIsCommittedInAnyOrderIsThereOnceAndWhole) { commit_in_any_order(); }
INSTANTIATE_TEST_SUITE_P(Shapes, LongBorrowInstants, ::testing::Values(GuestShape{.name = "full", .packets = 31}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace vhostx::test
