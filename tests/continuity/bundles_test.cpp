// SPDX-License-Identifier: BSD-3-Clause
// Who owns what, without sockets and without a clock.
#include "continuity/bundles.hpp"

#include <fcntl.h>
#include <set>

#include <gtest/gtest.h>

namespace vhostx::continuity {
namespace {

using namespace std::chrono_literals;

constexpr Bundles::Client first{1, 101};
constexpr Bundles::Client second{2, 102};
constexpr Bundles::Client third{3, 103};

struct Sent {
  ClientId to;
  Tagged<Reply> reply;
  std::size_t fds;
};

class BundlesTest : public testing::Test, public Bundles::Host {
 public:
  void send(ClientId client, Tagged<Reply> reply, std::vector<SharedFd> fds) override {
    sent.push_back({client, std::move(reply), fds.size()});
  }
  bool watch(WatchId watch, int) override { return watches.insert(watch).second; }
  void unwatch(WatchId watch, int) override { EXPECT_EQ(watches.erase(watch), 1u); }
  bool is_leaving(ClientId client) override { return leaving.contains(client); }
  void report(const KeeperEvent& event) override {
    log.push_back(std::string(to_string(event.kind)) + " " + event.name + ": " + event.reason);
  }

  static UniqueFd some_fd() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

  void ask(Bundles::Client client, Request request) {
    UniqueFd fd = std::holds_alternative<Hold>(request) ? some_fd() : UniqueFd();
    bundles.handle(client, {++tag, std::move(request)}, std::move(fd), now);
  }
  /// The last reply, if it went to this client.
  template <typename T>
  const T* last(Bundles::Client client) const {
    return sent.empty() || sent.back().to != client.id ? nullptr : std::get_if<T>(&sent.back().reply.body);
  }
  std::string refusal(Bundles::Client client) const {
    const auto* const failed = last<Failed>(client);
    return failed != nullptr ? failed->text : "";
  }

  Bundles::Time now{};
  std::uint32_t tag = 0;
  std::vector<Sent> sent;
  std::set<WatchId> watches;
  std::set<ClientId> leaving;
  std::vector<std::string> log;
  Bundles bundles{*this, {4, 3, 2, 40}, 10s};
};

TEST_F(BundlesTest, AClaimMakesABundleAndAnotherIsRefused) {
  ask(first, Claim{"a"});
  ASSERT_NE(last<Granted>(first), nullptr);
  EXPECT_EQ(last<Granted>(first)->total, 0u);
  ask(second, Claim{"a"});
  ASSERT_NE(last<Refused>(second), nullptr);
  EXPECT_EQ(last<Refused>(second)->owner_pid, first.pid);
  ask(first, Claim{"a"});
  EXPECT_NE(last<Granted>(first), nullptr);
}

TEST_F(BundlesTest, WhatIsHeldIsGrantedToTheNextInPackets) {
  ask(first, Claim{"a"});
  for (std::uint32_t slot = 0; slot < 20; ++slot) ask(first, Hold{"a", slot * 3});
  ask(first, Drop{"a", 3});
  ask(first, Drop{"a", 4});
  EXPECT_EQ(bundles.descriptors(), 19u);
  ask(first, Release{"a"});
  sent.clear();
  ask(second, Claim{"a"});
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].fds, 16u);
  EXPECT_EQ(sent[1].fds, 3u);
  EXPECT_EQ(last<Granted>(second)->first, 16u);
  EXPECT_EQ(last<Granted>(second)->total, 19u);
  EXPECT_EQ(last<Granted>(second)->slots, (std::vector<std::uint32_t>{51, 54, 57}));
}

TEST_F(BundlesTest, OnlyTheOwnerChangesABundle) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 0});
  const std::vector<Request> changes{Hold{"a", 1}, Drop{"a", 0}, Forget{"a"}, Release{"a"}, Park{"a", 1}, Settle{"a"}};
  for (const auto& change : changes) {
    ask(second, change);
    EXPECT_EQ(refusal(second), "the bundle belongs to another client, expected this client (claim it first)");
  }
  ask(second, Hold{"b", 1});
  EXPECT_EQ(refusal(second), "the bundle belongs to nobody, expected this client (claim it first)");
  EXPECT_EQ(bundles.descriptors(), 1u);
}

TEST_F(BundlesTest, ASlotThatIsHeldAgainIsReplaced) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 5});
  ask(first, Hold{"a", 5});
  EXPECT_EQ(bundles.descriptors(), 1u);
}

TEST_F(BundlesTest, WhoWaitsIsPreparedAndGetsNothingTwice) {
  ask(first, Claim{"a"});
  for (std::uint32_t slot = 0; slot < 20; ++slot) ask(first, Hold{"a", slot});
  ask(second, Prepare{"a"});
  EXPECT_EQ(refusal(second), "no claim of this client waits for it");
  ask(first, Prepare{"a"});
  EXPECT_EQ(refusal(first), "no claim of this client waits for it") << "it is the owner";
  ask(second, Claim{"a", ClaimHow::stand_by});
  sent.clear();
  ask(second, Prepare{"a"});
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].fds, 16u);
  EXPECT_EQ(sent[1].fds, 4u);
  ASSERT_NE(last<Prepared>(second), nullptr);
  EXPECT_EQ(last<Prepared>(second)->total, 20u);
  ask(second, Ask{"a"});
  ask(first, Drop{"a", 77});  // nothing
  sent.clear();
  ask(first, Park{"a", 1000});
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_NE(last<GrantedPrepared>(second), nullptr);
  EXPECT_EQ(sent[0].fds, 0u);
}

TEST_F(BundlesTest, WhatChangesBehindThePreparedIsToldOnceAndGrantedWhole) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 1});
  ask(second, Claim{"a", ClaimHow::stand_by});
  for (const Request& change :
       {Request{Hold{"a", 2}}, Request{Hold{"a", 2}}, Request{Drop{"a", 2}}, Request{Forget{"a"}}}) {
    ask(second, Prepare{"a"});
    sent.clear();
    ask(first, change);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_NE(last<Changed>(second), nullptr);
    ask(first, Hold{"a", 1});
    EXPECT_EQ(sent.size(), 1u);
  }
  bundles.client_gone(first.id, now);
  ASSERT_NE(last<Granted>(second), nullptr);
  EXPECT_EQ(last<Granted>(second)->slots, std::vector<std::uint32_t>{1});
}

TEST_F(BundlesTest, StandingByIsGrantedInTurn) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"a", ClaimHow::stand_by});
  EXPECT_EQ(last<Granted>(second), nullptr);
  bundles.client_gone(first.id, now);
  EXPECT_NE(last<Granted>(second), nullptr);
  ask(second, Release{"a"});
  EXPECT_NE(last<Granted>(third), nullptr);
  EXPECT_EQ(bundles.waiting(), 0u);
}

TEST_F(BundlesTest, WhoAsksComesBeforeWhoStandsBy) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"a", ClaimHow::hand_over});
  EXPECT_EQ(last<YieldAsked>(first)->asker_pid, third.pid);
  ask(first, Park{"a", 0});
  EXPECT_NE(last<Granted>(third), nullptr);
  ask(first, Claim{"a", ClaimHow::hand_over});
  bundles.client_gone(third.id, now);
  EXPECT_NE(last<Granted>(first), nullptr);
  bundles.client_gone(first.id, now);
  EXPECT_NE(last<Granted>(second), nullptr);
}

TEST_F(BundlesTest, WhoWaitsIsToldThatTheOwnerStays) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"b"});
  sent.clear();
  ask(first, Settle{"a"});
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_NE(last<Settled>(second), nullptr);
  EXPECT_EQ(last<Settled>(second)->owner_pid, first.pid);
  bundles.client_gone(first.id, now);
  EXPECT_NE(last<Granted>(second), nullptr) << "it still waits";
}

TEST_F(BundlesTest, WhoYieldedAndIsSlowerThanTheNewOwnerIsToldToo) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::hand_over});
  ask(first, Park{"a", 1000});
  ask(second, Settle{"a"});
  ask(first, Claim{"a", ClaimHow::stand_by});
  ASSERT_NE(last<Settled>(first), nullptr);
  EXPECT_EQ(last<Settled>(first)->owner_pid, second.pid);
  sent.clear();
  ask(second, Park{"a", 1000});
  ask(second, Claim{"a", ClaimHow::stand_by});
  EXPECT_EQ(last<Settled>(second), nullptr) << "the next owner has not said so";
}

TEST_F(BundlesTest, StandingByEndsWithItsClientOrIsCancelled) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"a", ClaimHow::stand_by});
  bundles.client_gone(second.id, now);
  ask(third, Cancel{"a"});
  EXPECT_NE(last<Cancelled>(third), nullptr);
  EXPECT_EQ(bundles.waiting(), 0u);
  ask(third, Cancel{"nothing"});
  EXPECT_NE(last<Cancelled>(third), nullptr);
  bundles.client_gone(first.id, now);
  EXPECT_EQ(bundles.size(), 0u);  // it was empty
}

TEST_F(BundlesTest, AHandOverAsksTheOwner) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 1});
  ask(second, Claim{"a", ClaimHow::hand_over});
  ASSERT_NE(last<YieldAsked>(first), nullptr);
  EXPECT_EQ(last<YieldAsked>(first)->asker_pid, second.pid);
  ask(first, Release{"a"});
  ASSERT_NE(last<Granted>(second), nullptr);
  EXPECT_EQ(last<Granted>(second)->total, 1u);
}

TEST_F(BundlesTest, WhoStandsByMayAskLater) {
  ask(first, Claim{"a"});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"a", ClaimHow::stand_by});
  sent.clear();
  ask(third, Ask{"a"});
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_NE(last<YieldAsked>(first), nullptr);
  EXPECT_EQ(last<YieldAsked>(first)->asker_pid, third.pid);
  ask(third, Ask{"a"});
  EXPECT_EQ(sent.size(), 1u) << "once";
  EXPECT_EQ(bundles.waiting(), 2u);
  const auto claim = tag - 2;
  ask(first, Release{"a"});
  ASSERT_NE(last<Granted>(third), nullptr);
  EXPECT_EQ(sent.back().reply.tag, claim) << "of the claim";
  bundles.client_gone(third.id, now);
  EXPECT_NE(last<Granted>(second), nullptr);
}

TEST_F(BundlesTest, AskingWithoutAClaimThatWaitsDoesNothing) {
  ask(first, Claim{"a"});
  sent.clear();
  ask(first, Ask{"a"});
  ask(second, Ask{"a"});
  ask(second, Ask{"nothing"});
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(bundles.size(), 1u);
}

// Killed and started again at once: the new process's claim may come before the end of the old one's connection.
TEST_F(BundlesTest, AClaimWaitsForAnOwnerWhoseConnectionIsEnding) {
  ask(first, Claim{"a"});
  leaving.insert(first.id);
  ask(second, Claim{"a", ClaimHow::now});
  EXPECT_EQ(last<Refused>(second), nullptr);
  bundles.client_gone(first.id, now);
  EXPECT_NE(last<Granted>(second), nullptr);
}

TEST_F(BundlesTest, WithoutAnOwnerItIsKeptForTheGraceTime) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 1});
  EXPECT_FALSE(bundles.next_deadline());
  bundles.client_gone(first.id, now);
  EXPECT_EQ(bundles.next_deadline(), now + 10s);
  EXPECT_EQ(bundles.next_after("", now + 4s)->grace_ms, 6000u);
  bundles.expire(now + 10s - 1ns);
  EXPECT_EQ(bundles.size(), 1u);
  bundles.expire(now + 10s);
  EXPECT_EQ(bundles.size(), 0u);
  EXPECT_EQ(bundles.descriptors(), 0u);
  EXPECT_EQ(log.back(), "dropped a: nobody claimed it in time");
}

TEST_F(BundlesTest, ParkingHasAGraceTimeOfItsOwn) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 1});
  ask(first, Park{"a", 500});
  EXPECT_EQ(bundles.next_deadline(), now + 500ms);
  ask(second, Claim{"a"});
  EXPECT_EQ(last<Granted>(second)->total, 1u);
  EXPECT_FALSE(bundles.next_deadline());
  ask(second, Park{"a", 0});
  EXPECT_EQ(bundles.size(), 0u);
}

TEST_F(BundlesTest, AFrontEndThatHangsUpEndsABundleWithoutAnOwner) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", front_end_slot});
  EXPECT_TRUE(watches.empty());
  ask(first, Release{"a"});
  ASSERT_EQ(watches.size(), 1u);
  const auto old = *watches.begin();
  ask(second, Claim{"a"});
  EXPECT_TRUE(watches.empty());
  bundles.hung_up(old);  // seen before the claim, handled after it
  EXPECT_EQ(bundles.size(), 1u);
  ask(second, Release{"a"});
  bundles.hung_up(old);
  EXPECT_EQ(bundles.size(), 1u);
  bundles.hung_up(*watches.begin());
  EXPECT_EQ(bundles.size(), 0u);
  EXPECT_TRUE(watches.empty());
  EXPECT_EQ(log.back(), "dropped a: its front-end has gone");
}

TEST_F(BundlesTest, ForgettingKeepsTheOwnerAndWhoStandsBy) {
  ask(first, Claim{"a"});
  ask(first, Hold{"a", 0});
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(first, Forget{"a"});
  EXPECT_EQ(bundles.descriptors(), 0u);
  EXPECT_EQ(last<Granted>(second), nullptr);
  ask(first, Hold{"a", 0});
  bundles.client_gone(first.id, now);
  EXPECT_EQ(last<Granted>(second)->total, 1u);
}

TEST_F(BundlesTest, BoundsAreSaid) {
  for (const char* name : {"a", "b", "c"}) ask(first, Claim{name});
  ask(first, Claim{"d"});
  EXPECT_EQ(refusal(first), "the keeper has 3 bundles, the most");
  ask(second, Claim{"a", ClaimHow::stand_by});
  ask(second, Claim{"a", ClaimHow::stand_by});
  EXPECT_EQ(refusal(second), "this client waits for it already");
  ask(third, Claim{"a", ClaimHow::stand_by});
  ask(third, Claim{"b", ClaimHow::stand_by});
  EXPECT_EQ(refusal(third), "2 claims wait, the most");
  for (std::uint32_t slot = 0; slot < 40; ++slot) ask(first, Hold{"a", slot});
  ask(first, Hold{"b", 1});
  EXPECT_EQ(refusal(first), "the keeper holds 40 descriptors, the most");
  sent.clear();
  ask(first, Hold{"a", 1});  // takes another's place
  EXPECT_TRUE(sent.empty());
}

TEST_F(BundlesTest, ABundleHasSoManySlots) {
  Bundles wide(*this, {1, 1, 1, slots_max + 1}, 10s);
  wide.handle(first, {1, Claim{"a"}}, UniqueFd(), now);
  for (std::uint32_t slot = 0; slot <= slots_max; ++slot) wide.handle(first, {2, Hold{"a", slot}}, some_fd(), now);
  EXPECT_EQ(refusal(first), "the bundle has 2048 slots, the most");
  EXPECT_EQ(wide.descriptors(), slots_max);
}

TEST_F(BundlesTest, TheListIsInTheOrderOfNames) {
  ask(first, Claim{"b"});
  ask(first, Hold{"b", 0});
  ask(first, Hold{"b", 9});
  ask(second, Claim{"a"});
  const auto a = bundles.next_after("", now + 2s);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->name, "a");
  EXPECT_TRUE(a->slots.empty());
  EXPECT_EQ(a->front_end_ms, 0u);
  const auto b = bundles.next_after("a", now + 2s);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->owner_pid, first.pid);
  EXPECT_EQ(b->owner_ms, 2000u);
  EXPECT_EQ(b->slots, (std::vector<std::uint32_t>{0, 9}));
  EXPECT_FALSE(bundles.next_after("b", now));
}

}  // namespace
}  // namespace vhostx::continuity
