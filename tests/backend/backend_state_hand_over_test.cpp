// SPDX-License-Identifier: BSD-3-Clause
// What an application knows of no port goes from process to process at a keeper that both have.
#include <list>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "continuity/kept_bundle.hpp"
#include "tests/backend/state_process.hpp"
#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::test {
namespace {

using continuity::KeeperEvent;
using continuity::KeeperThread;
using std::chrono::milliseconds;

/// Two processes, at a real keeper.
struct StateHandOver : ::testing::Test {
  StateHandOver() { start_keeper(); }
  void start_keeper() {
    keeper = std::make_unique<KeeperThread>(continuity::KeeperOptions{
        .path = folder.path("keeper"), .grace = continuity::generous, .limits = {}, .on_event = {}});
  }
  struct AtKeeper {
    AtKeeper(const std::string& keeper, KeeperClaim claim, milliseconds interval = milliseconds(0))
        : process(
              {.keeper_claim = claim, .keeper_service = std::make_shared<KeeperFunction>([this, keeper](auto& bundle) {
                                        auto made = continuity::KeptBundle::connect(keeper, bundle);
                                        if (made) connections[bundle] = (*made)->event_fd();
                                        return made;
                                      })},
              interval) {}
    void die() {
      process.stop();
      for (const auto& [bundle, connection] : connections) ::shutdown(connection, SHUT_RDWR);
    }
    std::map<std::string, int> connections;  // the latest; before process, whose constructor sets them
    StateProcess process;
  };
  AtKeeper& start(KeeperClaim claim, milliseconds interval = milliseconds(0)) {
    lives.push_front(std::make_unique<AtKeeper>(folder.path("keeper"), claim, interval));
    EXPECT_NE(lives.front()->process.backend, nullptr) << lives.front()->process.error.message;
    return *lives.front();
  }
  AtKeeper& start_with(const std::string& text) {
    AtKeeper& first = start(KeeperClaim::if_free);
    first.process.known.learn(text);
    return first;
  }
  void open_port(AtKeeper& at) {
    at.process.stop();
    at.process.port = must(at.process.backend->open_port({.socket_path = folder.path("port")}));
    at.process.go_on();
  }

  /// Returns once the owner has filled the keeper.
  void until_filled() {
    auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
    const auto filled = [&] {
      const auto bundles = must(client.list());
      return !bundles.empty() && !bundles.front().slots.empty();
    };
    while (!filled()) std::this_thread::yield();
  }

  TemporaryFolder folder;
  std::unique_ptr<KeeperThread> keeper;
  std::list<std::unique_ptr<AtKeeper>> lives;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(StateHandOver, WhoTakesOverGetsTheLastBytesOnce) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  EXPECT_EQ(old.process.known.saves(), 1U) << "right before it yielded";
  old.process.end();
  EXPECT_EQ(old.process.known.saves(), 1U) << "it is the other's";
  fresh.process.known.learn("newer");
  fresh.process.end();
  EXPECT_EQ(start(KeeperClaim::take_over).process.known.heard(), "load(newer) ") << "nobody has to wait";
}

TEST_F(StateHandOver, WhoStandsByMayAskLater) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::stand_by);
  fresh.process.known.until_heard("standing_by ");
  fresh.process.stop();
  fresh.process.backend->take_over();
  fresh.process.go_on();
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
}

TEST_F(StateHandOver, IfTheNewProcessDiesTheOldOneHasItAgain) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  fresh.die();
  old.process.known.until_heard("yielding standing_by load(last) serving ");
  old.process.known.learn("once more");
  AtKeeper& third = start(KeeperClaim::take_over);
  third.process.known.until_heard("standing_by load(once more) serving ");
}

TEST_F(StateHandOver, ItIsHandedOverForGoodWithAPort) {
  AtKeeper& old = start_with("last");
  open_port(old);
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  open_port(fresh);
  while (fresh.process.port->info().standing_by) std::this_thread::yield();
  fresh.process.stop();
  fresh.process.port->confirm_take_over();
  fresh.process.go_on();
  old.process.known.until_heard("yielding standing_by handed_over ");
  fresh.die();
  AtKeeper& third = start(KeeperClaim::if_free);
  EXPECT_EQ(third.process.known.heard(), "load(last) ") << "the old one waits no more";
}

TEST_F(StateHandOver, WhoStandsByHasItAfterAKill) {
  AtKeeper& first = start_with("never kept");
  AtKeeper& second = start(KeeperClaim::stand_by);
  second.process.known.until_heard("standing_by ");
  first.die();
  second.process.known.until_heard("standing_by serving ");
  second.process.known.learn("kept");
  AtKeeper& third = start(KeeperClaim::stand_by);
  second.process.end();
  third.process.known.until_heard("standing_by load(kept) serving ");
}

TEST_F(StateHandOver, WithoutAClaimThatWaitsTheOwnerIsNamed) {
  start_with("mine");
  AtKeeper second(folder.path("keeper"), KeeperClaim::if_free);
  EXPECT_EQ(second.process.error.code, ErrorCode::busy);
  EXPECT_EQ(second.process.error.message.find("state 'table': "), 0U) << second.process.error.message;
  EXPECT_NE(second.process.error.message.find("belongs to this process"), std::string::npos);
}

TEST_F(StateHandOver, WithoutItsKeeperThereIsNoBackend) {
  keeper->stop();
  AtKeeper first(folder.path("keeper"), KeeperClaim::if_free);
  EXPECT_EQ(first.process.error.code, ErrorCode::system) << first.process.error.message;
}

TEST_F(StateHandOver, ANewKeeperIsFilledAgain) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free);  // which has kept nothing of its own yet
  keeper->stop();
  start_keeper();
  keeper->wait_for(KeeperEvent::Kind::claimed);
  first.process.stop();  // after it has filled the keeper, in the same handler
  first.die();
  AtKeeper& second = start(KeeperClaim::if_free);
  EXPECT_EQ(second.process.known.heard(), "load(old) ");
  EXPECT_TRUE(first.process.log.has("the keeper failed, and the state goes on without it"))
      << first.process.log.lines();
}

TEST_F(StateHandOver, WhatWasSavedWithoutAKeeperIsAtTheNextOne) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free, milliseconds(10));
  Knowledge& known = first.process.known;
  known.at_save([] { throw std::runtime_error("not yet"); });  // so that its first file comes without a keeper
  keeper->stop();
  EXPECT_TRUE(first.process.log.wait_for("the keeper failed"));
  known.at_save({});
  known.learn("newer");
  known.until_saved(2);
  start_keeper();
  keeper->wait_for(KeeperEvent::Kind::claimed);
  first.die();
  EXPECT_EQ(start(KeeperClaim::if_free).process.known.heard(), "load(newer) ");
}

TEST_F(StateHandOver, WhatElseIsInTheBundleIsDropped) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]), other(ends[1]);
  {
    auto stranger = must(continuity::KeeperClient::connect(folder.path("keeper")));
    must(stranger.claim("@table", continuity::ClaimHow::now));
    for (const std::uint32_t slot : {0U, 6U, 9U}) must(stranger.hold("@table", slot, one.get()));
    must(stranger.park("@table", continuity::generous));
  }
  AtKeeper& first = start(KeeperClaim::stand_by);
  EXPECT_TRUE(first.process.log.wait_for("its file is not sealed against shrinking"));
  EXPECT_EQ(first.process.known.heard().find("load"), std::string::npos);
  auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
  while (must(client.list()).front().slots != std::vector<std::uint32_t>{6}) std::this_thread::yield();
}

TEST_F(StateHandOver, AConfirmationCountsAlsoIfTheStateComesAfterIt) {
  AtKeeper& old = start_with("last");
  open_port(old);
  AtKeeper& fresh = start(KeeperClaim::stand_by);
  open_port(fresh);
  old.process.stop();
  old.process.port.reset();
  old.process.go_on();
  while (fresh.process.port->info().standing_by) std::this_thread::yield();
  fresh.process.stop();
  fresh.process.port->confirm_take_over();
  fresh.process.backend->take_over();
  fresh.process.go_on();
  old.process.known.until_heard("yielding standing_by handed_over ");
  fresh.process.known.until_heard("standing_by load(last) serving ");
}

/// What is not there yet is no reason to go on without it.
TEST_F(StateHandOver, ANewKeeperIsFilledAlsoWhereWhoWaitsFindsItFirst) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free);
  AtKeeper& second = start(KeeperClaim::stand_by);
  first.process.stop();
  keeper->stop();
  start_keeper();
  EXPECT_TRUE(second.process.log.wait_for("another process may serve the state, and this one waits for it"));
  first.process.go_on();
  until_filled();
  first.die();
  second.process.known.until_heard("standing_by load(old) serving ");
}

TEST_F(StateHandOver, WhoWaitsFindsANewKeeperToo) {
  AtKeeper& first = start_with("last");
  AtKeeper& second = start(KeeperClaim::stand_by);
  keeper->stop();
  start_keeper();
  until_filled();
  first.process.end();
  second.process.known.until_heard("standing_by load(last) serving ");
}

/// Its name may be that of a port.
TEST_F(StateHandOver, ItIsNoPort) {
  Knowledge known;
  known.learn("all");
  BackendOptions options{.keeper = folder.path("keeper")};
  options.state = known.state(milliseconds(0));
  options.state.name = folder.path("port");
  {
    const auto backend = must(Backend::create(options));
    const auto port = must(backend->open_port({.socket_path = folder.path("port")}));
    auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
    const auto bundles = must(client.list());
    ASSERT_EQ(bundles.size(), 2U);
    EXPECT_EQ(bundles[0].name, folder.path("port"));
    EXPECT_EQ(bundles[1].name, "@" + folder.path("port"));
    const auto refused = backend->open_port({.socket_path = "@" + folder.path("port")});
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  const auto again = must(Backend::create(options));
  EXPECT_EQ(known.heard(), "load(all) ");
}

}  // namespace
}  // namespace vhostx::test
