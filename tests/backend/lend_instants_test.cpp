// SPDX-License-Identifier: BSD-3-Clause
// A back-end that lends packets is killed at every instant of a burst, and of giving them back; another one goes on.
// What the driver has not got back comes again, in its order. Each buffer is given back once.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tests/backend/kept_guests.hpp"
#include "tests/support/single_step.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint16_t most_at_once = 32;
constexpr std::uint32_t lent_from_bytes = 100;
constexpr int behind = 2;  // packets that the guest has posted and the burst does not take

/// An application that is lent packets, in a process that ends.
class LentTo {
 public:
  explicit LentTo(Port& port) : ring_(port.from_guest()) {}

  void take(int count) {
    const std::size_t before = packets_.size();
    packets_.resize(before + static_cast<std::size_t>(count));
    if (ring_.dequeue_burst(test_pool(), &packets_[before], static_cast<std::uint16_t>(count)) != count)
      throw std::runtime_error("a short burst");
  }
  void free(std::initializer_list<int> which) {
    for (const int i : which) rte_pktmbuf_free(std::exchange(packets_[static_cast<std::size_t>(i)], nullptr));
  }
  void free_and_poll(std::initializer_list<int> which) {
    free(which);
    ring_.poll_completions();
  }
  /// Processes have the pool in common. The guest learns nothing of it.
  void end() {
    for (rte_mbuf* packet : packets_)
      if (packet != nullptr) rte_pktmbuf_free(packet);
  }

 private:
  Vring& ring_;
  std::vector<rte_mbuf*> packets_;
};

/// All that comes, as numbers. All is held until nothing more comes.
std::vector<int> take_all(Port& port, const GuestShape& shape) {
  std::vector<rte_mbuf*> held;
  std::vector<int> taken;
  std::array<rte_mbuf*, most_at_once> burst;
  while (const std::uint16_t count = port.from_guest().dequeue_burst(test_pool(), burst.data(), most_at_once))
    held.insert(held.end(), burst.begin(), burst.begin() + count);
  for (rte_mbuf* packet : held) {
    Frame frame(rte_pktmbuf_pkt_len(packet));
    const void* const bytes = rte_pktmbuf_read(packet, 0, static_cast<std::uint32_t>(frame.size()), frame.data());
    if (bytes != frame.data()) std::memcpy(frame.data(), bytes, frame.size());
    std::memcpy(&taken.emplace_back(), frame.data(), sizeof(int));
    EXPECT_EQ(frame, numbered_frame(taken.back(), shape.bytes_of(taken.back())));
    rte_pktmbuf_free(packet);
  }
  port.from_guest().poll_completions();
  return taken;
}

class LendInstants : public ::testing::TestWithParam<GuestShape> {
 protected:
  LendInstants() : guest_(shape(), {.zero_copy = true, .copy_below = lent_from_bytes}) {
    test_pool();
    guest_.transmit(0, total());
    guest_.kill();
  }
  ~LendInstants() override { EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U); }

  const GuestShape& shape() const { return GetParam(); }
  int packets() const { return shape().packets; }
  int total() const { return packets() + behind; }
  Port& dead_port() { return guest_.dead_port(); }

  /// One that is copied is given back by the burst that takes it.
  bool is_copied(int number) const { return shape().bytes_of(number) < lent_from_bytes; }
  std::vector<int> copied(int count) const {
    std::vector<int> all = numbers(0, count);
    std::erase_if(all, [this](int number) { return !is_copied(number); });
    return all;
  }

  /// What the driver has got back, each once, and no packet but those.
  std::vector<int> expect_given(const std::set<int>& may_be) {
    const auto given = guest_.given_back_numbers();
    for (const int number : given) EXPECT_TRUE(may_be.contains(number)) << number << " is lent";
    return given;
  }
  /// The next one takes what is left, neither more nor in another order, and then all is back.
  void expect_rest_again(const std::vector<int>& given) {
    std::vector<int> rest = numbers(0, total());
    std::erase_if(rest, [&](int number) { return std::find(given.begin(), given.end(), number) != given.end(); });
    EXPECT_EQ(take_all(guest_.adopt(), shape()), rest);
    EXPECT_EQ(guest_.given_back(), static_cast<std::size_t>(total()));
    guest_.end_next();
  }
  /// At each instant; returns what was given back at the last one, in its order.
  std::vector<int> check(Instants& instants, const std::vector<int>& may_be) {
    std::vector<int> given;
    instants.each([&] {
      given = expect_given({may_be.begin(), may_be.end()});
      expect_rest_again(given);
    });
    return given;
  }

  void lend_all();

  KeptGuest guest_;
};

void LendInstants::lend_all() {
  LentTo application(dead_port());
  Instants instants({&guest_});
  RECORD_OR_SKIP(instants, [&] {
    application.take(packets());
    application.end();
  });
  const auto given = check(instants, copied(packets()));
  EXPECT_EQ(given, copied(packets())) << "the burst itself";
  EXPECT_GT(instants.states(), static_cast<std::size_t>(packets()) - given.size());
}

TEST_P(LendInstants, WhatWasLentComesAgain) { lend_all(); }

TEST_P(LendInstants, WhatIsGivenBackInItsOrderComesNoMore) {
  LentTo application(dead_port());
  Instants instants({&guest_});
  const auto give_back = [&] {
    for (int i = 0; i < packets(); ++i) application.free_and_poll({i});
  };
  RECORD_OR_SKIP(instants, give_back, [&] { application.take(packets()); });
  EXPECT_EQ(check(instants, numbers(0, packets())).size(), static_cast<std::size_t>(packets()));
}

/// Others are freed, too, and no burst follows that would give them back.
TEST_P(LendInstants, WhatIsGivenBackInPartAndInAnyOrderComesNoMore) {
  if (packets() < 4) GTEST_SKIP() << "too few packets";
  LentTo application(dead_port());
  Instants instants({&guest_});
  const int last = packets() - 1;
  const auto give_back = [&] {
    application.free_and_poll({last, 1});
    application.free({0, last - 1});
    application.end();
  };
  RECORD_OR_SKIP(instants, give_back, [&] { application.take(packets()); });
  std::vector<int> may_be = copied(packets());
  may_be.insert(may_be.end(), {1, last});
  const auto given = check(instants, may_be);
  EXPECT_EQ(std::set<int>(given.begin(), given.end()), std::set<int>(may_be.begin(), may_be.end()));
}

/// One store shows the driver what came back, and is the end of a burst that lends more.
TEST_P(LendInstants, ABurstThatGivesBackAndLendsDoesBothOnce) {
  LentTo application(dead_port());
  Instants instants({&guest_});
  const auto burst = [&] {
    application.take(behind);
    application.end();
  };
  RECORD_OR_SKIP(instants, burst, [&] {
    application.take(packets());
    application.free({packets() - 1});
  });
  std::vector<int> may_be = copied(total());
  may_be.push_back(packets() - 1);
  const auto given = check(instants, may_be);
  EXPECT_EQ(std::set<int>(given.begin(), given.end()), std::set<int>(may_be.begin(), may_be.end()));
}

/// They are taken by one back-end after the other, and each is killed.
TEST_P(LendInstants, WhatComesAgainIsLentAgainInItsOrder) {
  LentTo first(dead_port());
  run_in_child([&] {
    first.take(packets());
    first.free_and_poll({packets() / 2});
    first.end();
  });
  const auto given = guest_.given_back_numbers();
  guest_.adopt();
  guest_.kill();
  LentTo second(dead_port());
  Instants instants({&guest_});
  const int most = total() - static_cast<int>(given.size());
  RECORD_OR_SKIP(instants, [&] {
    second.take((most + 1) / 2);
    second.take(most / 2);
    second.end();
  });
  check(instants, numbers(0, total()));
}

constexpr std::size_t large = 150;

INSTANTIATE_TEST_SUITE_P(
    Shapes, LendInstants,
    ::testing::Values(GuestShape{.name = "single", .packets = 1, .frame_bytes = large},
                      GuestShape{.name = "batch", .packets = 6, .frame_bytes = large},
                      GuestShape{.name = "some_copied", .packets = 6, .frame_bytes = large, .odd_frame_bytes = 60},
                      GuestShape{.name = "header_apart", .frame_bytes = large, .header_apart = true},
                      GuestShape{.name = "pieces", .frame_bytes = 2 * large, .pieces = true},
                      GuestShape{.name = "indirect", .frame_bytes = 2 * large, .indirect = true, .pieces = true},
                      GuestShape{.name = "event_idx", .features = with_event_idx, .frame_bytes = large, .kicks = true},
                      GuestShape{.name = "event_idx_indirect",
                                 .features = with_event_idx_and_indirect,
                                 .frame_bytes = large,
                                 .header_apart = true,
                                 .indirect = true,
                                 .kicks = true}),
    [](const auto& shape) { return shape.param.name; });

/// As many as a burst takes.
class LongLendInstants : public LendInstants {};
TEST_P(LongLendInstants, WhatWasLentComesAgain) { lend_all(); }
INSTANTIATE_TEST_SUITE_P(Shapes, LongLendInstants,
                         ::testing::Values(GuestShape{.name = "full", .packets = 31, .frame_bytes = large}),
                         [](const auto& shape) { return shape.param.name; });

/// The next back-end is killed as well, while it reads the record, where the first one had just given something back.
class RecoveryInstants : public LendInstants {};
TEST_P(RecoveryInstants, WhatWasLentComesAgainFromARecoveryThatWasCutOff) {
  LentTo application(dead_port());
  Instants instants({&guest_});
  const auto give_back = [&] {
    application.free_and_poll({3, 1});
    application.end();
  };
  RECORD_OR_SKIP(instants, give_back, [&] { application.take(packets()); });
  std::size_t most = 0;
  instants.each([&] {
    Instants recovery({&guest_});
    ASSERT_TRUE(recovery.record([&] { guest_.recover(); }, [&] { guest_.prepare_recovery(1); }));
    check(recovery, {1, 3});
    most = std::max(most, recovery.states());
  });
  EXPECT_GT(most, 3U) << "two marks and an index";
}
INSTANTIATE_TEST_SUITE_P(Shapes, RecoveryInstants, ::testing::Values(GuestShape{.name = "batch", .frame_bytes = large}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace vhostx::test
