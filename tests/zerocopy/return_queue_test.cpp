// SPDX-License-Identifier: BSD-3-Clause
// The word through which loans come back.
#include "zerocopy/return_queue.hpp"

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace vhostx::zerocopy {
namespace {

using Pushed = ReturnQueue::Pushed;

std::vector<std::uint32_t> take(ReturnQueue& queue, const std::vector<std::uint32_t>& links) {
  std::vector<std::uint32_t> loans;
  for (std::uint32_t next = queue.take_all(); next != ReturnQueue::none; next = links[next]) loans.push_back(next);
  return loans;
}

TEST(ReturnQueue, KeepsLoansForTheOwnerInSomeOrder) {
  ReturnQueue queue;
  std::vector<std::uint32_t> links(4);
  EXPECT_FALSE(queue.has_some());
  for (const std::uint32_t loan : {2U, 0U, 3U}) EXPECT_EQ(queue.push(loan, links[loan]), Pushed::kept);
  EXPECT_TRUE(queue.has_some());
  EXPECT_EQ(take(queue, links), (std::vector<std::uint32_t>{3, 0, 2}));
  EXPECT_FALSE(queue.has_some());
  EXPECT_EQ(queue.push(0, links[0]), Pushed::kept) << "loan 0 is a loan like others";
  EXPECT_TRUE(queue.has_some());
}

TEST(ReturnQueue, CountsAfterItIsClosed) {
  ReturnQueue queue;
  std::vector<std::uint32_t> links(4);
  queue.push(1, links[1]);
  EXPECT_EQ(queue.close(3), 2U) << "one is back already";
  EXPECT_EQ(queue.push(0, links[0]), Pushed::kept);
  EXPECT_EQ(queue.out(), 1U);
  EXPECT_EQ(queue.push(2, links[2]), Pushed::kept) << "the owner looks, and cleans up";
  EXPECT_EQ(queue.out(), 0U);
  EXPECT_TRUE(queue.abandon());
}

TEST(ReturnQueue, TheLastOneOutIsTold) {
  ReturnQueue queue;
  std::vector<std::uint32_t> links(2);
  queue.close(2);
  EXPECT_FALSE(queue.abandon());
  EXPECT_EQ(queue.push(1, links[1]), Pushed::kept);
  EXPECT_EQ(queue.push(0, links[0]), Pushed::last);
}

// Each loan comes back once, whatever the owner does meanwhile; and exactly one party cleans up.
TEST(ReturnQueue, ThreadsAgainstAnOwnerThatLeaves) {
  constexpr std::uint32_t loans = 64;
  for (int round = 0; round < 300; ++round) {
    ReturnQueue queue;
    std::vector<std::uint32_t> links(loans);
    std::atomic<int> last{0};
    std::atomic<bool> go{false};
    std::array<std::thread, 2> threads;
    for (std::uint32_t t = 0; t < threads.size(); ++t)
      threads[t] = std::thread([&, t] {
        while (!go) {
        }
        for (std::uint32_t loan = t; loan < loans; loan += threads.size())
          if (queue.push(loan, links[loan]) == Pushed::last) ++last;
      });
    go = true;
    std::set<std::uint32_t> seen;
    for (int i = 0; i < round % 50; ++i)
      for (const std::uint32_t loan : take(queue, links)) EXPECT_TRUE(seen.insert(loan).second) << loan;
    queue.close(loans - static_cast<std::uint32_t>(seen.size()));
    if (queue.abandon()) ++last;
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(last, 1);
  }
}

}  // namespace
}  // namespace vhostx::zerocopy
