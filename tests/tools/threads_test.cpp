// SPDX-License-Identifier: BSD-3-Clause
// What several threads of the switch share: the MAC table, the event queue, the owner of backlogs.
#include <atomic>
#include <poll.h>
#include <thread>

#include <gtest/gtest.h>

#include <vhostx/waiter.hpp>

#include "tools/switch/backlog_owner.hpp"
#include "tools/switch/event_queue.hpp"
#include "tools/switch/mac_table.hpp"

namespace vhostx::tools {
namespace {

TEST(MacTableThreads, CountsStayTrue) {
  constexpr std::uint16_t workers = 3;
  MacTable table(workers, 0x5555);
  std::vector<std::thread> threads;
  for (std::uint16_t port = 0; port < workers; ++port)
    threads.emplace_back([&table, port] {
      for (std::uint64_t i = 0; i < 200'000; ++i) table.learn((i % 5000 + 1) * 0x100 + 2, port);
    });
  threads.emplace_back([&table] {  // guests that migrate here
    for (std::uint64_t i = 0; i < 200'000; ++i)
      table.restore((i % 5000 + 1) * 0x100 + 2, static_cast<std::uint16_t>(i % workers),
                    static_cast<unsigned>(i % 300));
  });
  for (int tick = 0; tick < 100; ++tick) table.tick();
  for (auto& thread : threads) thread.join();
  // Every entry is somebody's, and forgetting all leaves nothing.
  for (std::uint16_t port = 0; port < workers; ++port) table.forget_port(port);
  for (std::uint16_t port = 0; port < workers; ++port) EXPECT_EQ(table.entries_of(port), 0u);
  for (std::uint64_t i = 0; i < 5000; ++i) EXPECT_EQ(table.lookup((i + 1) * 0x100 + 2), MacTable::no_port);
}

TEST(EventQueueThreads, NothingIsLostOrReordered) {
  constexpr std::uint16_t events = 20'000;
  EventQueue queue;
  queue.add_port("a", events);
  std::thread producer([&queue] {
    for (std::uint16_t i = 0; i < events; ++i) queue.push("a", VringStarted{i});
  });
  std::uint16_t next = 0;
  while (next < events) {
    pollfd waiting{queue.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&waiting, 1, 60'000), 1);
    for (const auto& event : queue.take()) EXPECT_EQ(std::get<VringStarted>(event.event).index, next++);
  }
  producer.join();
  EXPECT_EQ(queue.lost(), 0u);
}

/// An owner that sleeps without a time limit of note is woken by each backlog that begins elsewhere.
TEST(BacklogOwnerThreads, NoBacklogIsSleptThrough) {
  constexpr int rounds = 20'000;
  auto waiter = Waiter::create();
  ASSERT_TRUE(waiter);
  BacklogOwner owner(waiter.value().get());
  std::atomic<int> handled{0};
  std::thread sleeper([&] {
    while (handled < rounds) {
      if (owner.fall_asleep() == 0) {
        EXPECT_TRUE((*waiter)->wait(std::chrono::minutes(1)));
      }
      owner.wake_up();
      for (auto left = owner.backlogs(); left != 0; --left) {
        owner.backlog_ended();
        ++handled;
      }
    }
  });
  for (int round = 0; round < rounds; ++round) {
    owner.backlog_began();
    while (handled <= round) std::this_thread::yield();
  }
  sleeper.join();
  EXPECT_EQ(owner.backlogs(), 0u);
}

}  // namespace
}  // namespace vhostx::tools
