// SPDX-License-Identifier: BSD-3-Clause
// A keeper with real clients, some of which are killed: who owns a bundle, and what is in it.
#include "continuity/keeper.hpp"

#include <csignal>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <unistd.h>

#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using namespace std::chrono_literals;

// A child process's, which lives until it is killed.
KeeperClient& kept_client(const std::string& path) {
  static KeeperClient kept = KeeperClient::connect(path, generous).value();
  return kept;
}

TEST_F(KeeperTest, TheNextClientGetsTheSameFiles) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now)->empty());
  const auto file = memory_file();
  for (std::uint32_t slot = 0; slot < 40; ++slot) ASSERT_TRUE(old.hold("port", slot, file.get()).ok());
  const auto other = memory_file();
  ASSERT_TRUE(old.hold("port", 39, other.get()).ok());
  ASSERT_TRUE(old.drop("port", 3).ok());
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  const auto slots = client().claim("port", ClaimHow::now);
  ASSERT_TRUE(slots.ok()) << slots.error().message;
  ASSERT_EQ(slots->size(), 39u);
  EXPECT_FALSE(slots->contains(3));
  EXPECT_TRUE(same_file(slots->at(38).get(), file.get()));
  EXPECT_TRUE(same_file(slots->at(39).get(), other.get()));
  EXPECT_EQ(::fcntl(slots->at(0).get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(KeeperTest, AnotherClientsBundleIsRefusedWithItsProcess) {
  KeeperThread keeper(options());
  const ChildProcess owner([this] {
    KeeperClient& kept = kept_client(path_);
    kept.claim("port", ClaimHow::now).value();
  });
  auto other = client();
  const auto refused = other.claim("port", ClaimHow::now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_NE(refused.error().message.find("pid " + std::to_string(owner.pid())), std::string::npos)
      << refused.error().message;
  const auto file = memory_file();
  ASSERT_TRUE(other.hold("port", 0, file.get()).ok());
  const auto failed = next<FailedEvent>(other);
  EXPECT_EQ(failed.request, PacketType::hold);
  EXPECT_EQ(failed.name, "port");
  EXPECT_EQ(failed.error.code, ErrorCode::busy);
}

TEST_F(KeeperTest, WhoStandsByIsGrantedWhenTheOwnerIsKilled) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  ChildProcess owner([&] {
    KeeperClient& kept = kept_client(path_);
    kept.claim("port", ClaimHow::now).value();
    static_cast<void>(kept.hold("port", 5, file.get()));
  });
  auto standby = client();
  ASSERT_TRUE(standby.stand_by("port", ClaimHow::stand_by).ok());
  settle(standby);
  EXPECT_FALSE(*standby.next_event());
  owner.kill();
  const auto granted = next<GrantedEvent>(standby);
  EXPECT_EQ(granted.name, "port");
  ASSERT_EQ(granted.slots.size(), 1u);
  EXPECT_TRUE(same_file(granted.slots.at(5).get(), file.get()));
}

// The keeper may get the new process's claim before it has seen the end of the old one's connection.

TEST_F(KeeperTest, AProcessThatFollowsAKilledOneIsGrantedAtOnce) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  for (std::uint32_t round = 0; round < 100; ++round) {
    ChildProcess owner([&] {
      KeeperClient& kept = kept_client(path_);
      kept.claim("port", ClaimHow::now).value();
      static_cast<void>(kept.hold("port", round, file.get()));
    });
    owner.kill();
    const auto slots = client().claim("port", ClaimHow::now);
    ASSERT_TRUE(slots.ok()) << slots.error().message;
    ASSERT_EQ(slots->size(), round + 1);
  }
}

// The kernel reports ECONNRESET before what a process sent that had not read everything itself.

TEST_F(KeeperTest, WhatWasSentCountsThoughItsSenderIsKilled) {
  KeeperThread keeper(options());
  const auto file = memory_file();
  const auto go = EventFd::create().value();
  ChildProcess owner([&] { kept_client(path_).claim("port", ClaimHow::now).value(); },
                     [&] {
                       pollfd one{go.get(), POLLIN, 0};
                       ::poll(&one, 1, -1);
                       for (std::uint32_t slot = 0; slot < 200; ++slot)
                         static_cast<void>(kept_client(path_).hold("port", slot, file.get()));
                       ::kill(::getpid(), SIGKILL);
                     });
  auto asker = client();
  ASSERT_TRUE(asker.stand_by("port", ClaimHow::hand_over).ok());
  settle(asker);  // YIELD is there, and is not read
  go.signal();
  EXPECT_EQ(next<GrantedEvent>(asker).slots.size(), 200u);
}

TEST_F(KeeperTest, AHandOverIsAskedForAndGranted) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  const auto file = memory_file();
  ASSERT_TRUE(old.hold("port", 1, file.get()).ok());
  auto granted = std::async(std::launch::async, [this] {
    auto fresh = client();
    return fresh.claim("port", ClaimHow::hand_over, generous);
  });
  EXPECT_EQ(next<YieldEvent>(old).name, "port");
  ASSERT_TRUE(old.release("port").ok());
  const auto slots = granted.get();
  ASSERT_TRUE(slots.ok()) << slots.error().message;
  EXPECT_EQ(slots->size(), 1u);
}

TEST_F(KeeperTest, AHandOverThatIsNotDoneInTimeIsGivenUp) {
  KeeperThread keeper(options());
  auto old = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  auto fresh = client();
  const auto late = fresh.claim("port", ClaimHow::hand_over, 1ms);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::timed_out);
  EXPECT_EQ(next<YieldEvent>(old).name, "port");
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  EXPECT_TRUE(fresh.claim("port", ClaimHow::now).ok());  // the connection goes on
}

TEST_F(KeeperTest, StandingByIsCancelledOrWasGranted) {
  KeeperThread keeper(options());
  auto old = client();
  auto fresh = client();
  ASSERT_TRUE(old.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(fresh.stand_by("port", ClaimHow::stand_by).ok());
  EXPECT_TRUE(*fresh.cancel("port"));
  EXPECT_FALSE(*fresh.cancel("port"));
  ASSERT_TRUE(fresh.stand_by("port", ClaimHow::stand_by).ok());
  settle(fresh);
  ASSERT_TRUE(old.release("port").ok());
  settle(old);
  EXPECT_FALSE(*fresh.cancel("port"));
  EXPECT_EQ(next<GrantedEvent>(fresh).name, "port");
}

TEST_F(KeeperTest, TheListSaysWhoHasWhat) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("b", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("b", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.hold("b", 17, ours.get()).ok());
  ASSERT_TRUE(owner.claim("a", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("a", 1, ours.get()).ok());
  ASSERT_TRUE(owner.park("a", 1h).ok());
  const auto bundles = owner.list();
  ASSERT_TRUE(bundles.ok());
  ASSERT_EQ(bundles->size(), 2u);
  EXPECT_EQ((*bundles)[0].name, "a");
  EXPECT_FALSE((*bundles)[0].owned);
  EXPECT_GT((*bundles)[0].grace_ms, 3'000'000u);
  EXPECT_EQ((*bundles)[0].front_end_pid, 0u);
  EXPECT_TRUE((*bundles)[1].owned);
  EXPECT_EQ((*bundles)[1].owner_pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ((*bundles)[1].front_end_pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ((*bundles)[1].slots, (std::vector<std::uint32_t>{0, 17}));
}

TEST_F(KeeperTest, WhenItEndsAllThatItHeldIsClosed) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  settle(owner);
  keeper.stop();
  EXPECT_EQ(::access(path_.c_str(), F_OK), -1);
  EXPECT_EQ(next<KeeperGoneEvent>(owner).error.code, ErrorCode::closed);
  EXPECT_EQ(owner.hold("port", 1, ours.get()).error().code, ErrorCode::closed);
  EXPECT_FALSE(owner.next_event().ok());
  EXPECT_EQ(::write(ours.get(), "x", 1), 1);  // the owner's connection goes on
  char byte = 0;
  EXPECT_EQ(::read(theirs.get(), &byte, 1), 1);
}

// What is broken: it ends this client's connection, with a reason, and nobody else's.

TEST_F(KeeperTest, DescriptorsStayFlat) {
  KeeperThread keeper(options());
  auto owner = client();
  auto other = client();
  const auto file = memory_file();
  const auto before = open_descriptors();
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(owner.claim("port", ClaimHow::hand_over, generous).ok());
    for (std::uint32_t slot = 1; slot < 20; ++slot) ASSERT_TRUE(owner.hold("port", slot, file.get()).ok());
    ASSERT_TRUE(owner.hold("port", 1, file.get()).ok());
    ASSERT_TRUE(owner.drop("port", 2).ok());
    if (round % 3 == 0) {
      ASSERT_TRUE(owner.forget("port").ok());
    }
    if (round % 5 != 0) {
      ASSERT_TRUE(owner.release("port").ok());
    } else {
      owner = client();  // the connection before it ends
    }
    std::swap(owner, other);
  }
  ASSERT_TRUE(owner.claim("port", ClaimHow::stand_by, generous).ok());
  ASSERT_TRUE(owner.park("port", 0ms).ok());
  settle(owner);
  EXPECT_TRUE(owner.list()->empty());
  expect_open_descriptors(before);
}

}  // namespace
}  // namespace vhostx::continuity
