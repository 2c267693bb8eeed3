// SPDX-License-Identifier: BSD-3-Clause
// Two back-ends and one port, at a real keeper: the port is handed over, taken back, waited for; and the keeper may
// end.
#include <atomic>
#include <fstream>
#include <list>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "continuity/kept_bundle.hpp"
#include "tests/backend/loans_fixture.hpp"
#include "tests/backend/vault.hpp"
#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::test {
namespace {

using continuity::KeeperEvent;
using continuity::KeeperThread;
using continuity::PortKeeper;

/// A back-end at the keeper, with one port.
struct BackEnd {
  BackEnd(const std::string& keeper, const PortOptions& options, KeeperClaim claim)
      : life(
            [this, keeper](const std::string& bundle) -> Result<std::unique_ptr<PortKeeper>> {
              auto connected = continuity::KeptBundle::connect(keeper, bundle);
              if (connected) connection = (*connected)->event_fd();
              return connected;
            },
            options, {.log_level = LogLevel::debug, .keeper_claim = claim}) {}
  /// As the kernel does after SIGKILL.
  void die() {
    life.stop();
    ::shutdown(connection, SHUT_RDWR);
  }
  /// On no other thread than that which runs the control side.
  void confirm() {
    life.stop();
    life.port->confirm_take_over();
    life.go_on();
  }
  bool goes_on_as_prepared() { return life.logged().find("goes on, as prepared") != std::string::npos; }
  OwnershipChanged ownership() { return life.events.until<OwnershipChanged>(); }
  PortOwnership becomes() { return ownership().ownership; }

  int connection = -1;  // of the latest; before life, whose constructor sets it
  Life life;
};

struct HandOver : ::testing::Test {
  HandOver() {
    options.socket_path = folder.path("port");
    start_keeper();
  }
  void start_keeper() {
    keeper = std::make_unique<KeeperThread>(continuity::KeeperOptions{
        .path = folder.path("keeper"), .grace = continuity::generous, .limits = {}, .on_event = {}});
  }
  BackEnd& open(KeeperClaim claim) {
    lives.push_front(std::make_unique<BackEnd>(folder.path("keeper"), options, claim));
    EXPECT_NE(lives.front()->life.port, nullptr) << lives.front()->life.error.message;
    return *lives.front();
  }
  /// The first back-end, whose front-end has started its rings.
  BackEnd& serve() {
    BackEnd& first = open(KeeperClaim::if_free);
    machine = std::make_unique<FakeMachine>(options.socket_path);
    machine->bring_up();
    until_started(first.life);
    return first;
  }
  /// Returns once its keeper has something to say to it.
  static void until_asked(const BackEnd& owner) { until(owner, POLLIN); }
  /// Returns once its keeper's end can be seen: a keeper closes its connections on threads of its own.
  static void until_left(const BackEnd& owner) { until(owner, POLLRDHUP); }
  static void until(const BackEnd& owner, short event) {
    pollfd watched{owner.connection, event, 0};
    ASSERT_EQ(::poll(&watched, 1, static_cast<int>(std::chrono::milliseconds(patience).count())), 1);
    ASSERT_NE(watched.revents & event, 0);
  }
  /// It serves the port with its connection from now on.
  void expect_service(BackEnd& back_end) {
    EXPECT_TRUE(back_end.life.events.until<FrontEndConnected>().adopted);
    until_started(back_end.life);
    EXPECT_EQ(back_end.becomes(), PortOwnership::serving) << "after its rings have started";
    EXPECT_FALSE(back_end.life.port->info().standing_by);
    expect_traffic(back_end.life, *machine);
    machine->sync();
  }

  TemporaryFolder folder;
  PortOptions options;
  std::atomic<int> saved{0}, loaded{0};  ///< Of each back-end's control thread, also when it ends.
  std::unique_ptr<KeeperThread> keeper;
  std::unique_ptr<FakeMachine> machine;
  std::list<std::unique_ptr<BackEnd>> lives;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(HandOver, AProcessThatTakesOverGoesOnAndTheOldOneMayEnd) {
  BackEnd& old = serve();
  expect_traffic(old.life, *machine);
  BackEnd& fresh = open(KeeperClaim::take_over);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  expect_service(fresh);
  EXPECT_EQ(old.becomes(), PortOwnership::yielding) << "before its rings have stopped";
  old.life.events.until<VringStopped>();
  EXPECT_EQ(old.life.events.until<FrontEndDisconnected>().reason.code, ErrorCode::closed);
  const auto yielded = old.ownership();
  EXPECT_EQ(yielded.ownership, PortOwnership::standing_by);
  EXPECT_EQ(yielded.other_pid, ::getpid());
  EXPECT_TRUE(old.life.port->info().standing_by);
  fresh.confirm();
  EXPECT_EQ(old.becomes(), PortOwnership::handed_over);
  old.life.end();
  expect_traffic(fresh.life, *machine);
  machine->sync();
}

TEST_F(HandOver, IfTheNewProcessDiesBeforeItHasConfirmedTheOldOneGoesOn) {
  BackEnd& old = serve();
  BackEnd& fresh = open(KeeperClaim::take_over);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  expect_service(fresh);
  EXPECT_EQ(old.becomes(), PortOwnership::yielding);
  EXPECT_EQ(old.becomes(), PortOwnership::standing_by);
  fresh.die();
  expect_service(old);
  BackEnd& third = open(KeeperClaim::take_over);
  EXPECT_EQ(third.becomes(), PortOwnership::standing_by);
  expect_service(third);
}

/// Whoever serves the port has loaded what the one before knew when its rings had stopped, and goes on from there.
TEST_F(HandOver, TheApplicationsStateIsHandedOverAndBack) {
  options.state_interval = std::chrono::milliseconds(0);
  options.save_state = [this] { return std::vector<std::byte>{static_cast<std::byte>(++saved)}; };
  options.load_state = [this](std::span<const std::byte> state) -> Result<void> {
    loaded = std::to_integer<int>(state.front());
    return {};
  };
  BackEnd& old = serve();
  BackEnd& fresh = open(KeeperClaim::take_over);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  expect_service(fresh);
  EXPECT_EQ(loaded, 1);
  EXPECT_EQ(old.becomes(), PortOwnership::yielding);
  EXPECT_EQ(old.becomes(), PortOwnership::standing_by);
  loaded = 0;
  fresh.die();
  expect_service(old);
  EXPECT_EQ(loaded, 1) << "the new one kept nothing of its own";
}

TEST_F(HandOver, WhoStandsByGoesOnAfterAKill) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  EXPECT_EQ(second.life.port->info().standing_by, true);
  expect_traffic(first.life, *machine);
  first.die();
  expect_service(second);
  EXPECT_TRUE(second.goes_on_as_prepared());
}

/// In this process, whose threads are all back-ends.
std::size_t mappings_of_guests() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find("memfd:fake guest") != std::string::npos ? 1U : 0U;
  return count;
}

TEST_F(HandOver, AConnectionThatComesWhileAnotherStandsByIsPreparedToo) {
  BackEnd& first = open(KeeperClaim::if_free);
  BackEnd& second = open(KeeperClaim::stand_by);
  machine = std::make_unique<FakeMachine>(options.socket_path);
  machine->bring_up();
  until_started(first.life);
  machine->sync();
  second.life.until_logged(" prepared to take the port over");
  // Each change takes a moment to be noticed there: the last of them, or the next look.
  while (!second.life.logged().ends_with(" prepared to take the port over\n"))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  expect_traffic(first.life, *machine);
  first.die();
  expect_service(second);
}

TEST_F(HandOver, WhatIsPreparedIsNotTakenWhereTheConnectionHasChanged) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  second.life.until_logged(" prepared to take the port over");
  second.life.stop();  // it does not notice
  machine->enable(0, false);
  machine->sync();
  first.die();
  second.life.go_on();
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  until_started(second.life);
  EXPECT_EQ(second.becomes(), PortOwnership::serving);
  EXPECT_FALSE(second.goes_on_as_prepared());
  EXPECT_FALSE(second.life.port->to_guest(0).state().enabled);
  EXPECT_TRUE(second.life.port->from_guest(0).state().enabled);
}

/// The keeper has granted what was prepared before this process asks again, as the connection has changed.
TEST_F(HandOver, WhatIsGrantedWhileItIsPreparedAgainIsTakenToo) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  second.life.until_logged(" prepared to take the port over");
  second.life.stop();
  machine->enable(0, false);
  machine->enable(0, true);
  machine->enable(1, false);
  machine->sync();
  first.die();
  until_asked(second);
  second.life.take_over();  // prepares first
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(second.becomes(), PortOwnership::serving);
  EXPECT_EQ(second.life.logged().find("the keeper failed"), std::string::npos) << second.life.logged();
  EXPECT_FALSE(second.life.port->from_guest(0).state().enabled);
}

/// What a process has left to another one that then dies is not kept beside what it gets back.
TEST_F(HandOver, WhoGetsAPortBackAtOnceKeepsNothingTwice) {
  BackEnd& old = serve();
  BackEnd& fresh = open(KeeperClaim::take_over);
  expect_service(fresh);
  fresh.die();
  expect_service(old);
  fresh.life.end();
  machine.reset();
  old.life.events.until<FrontEndDisconnected>();
  while (mappings_of_guests() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// The socket's place is taken: that is noticed when the rings run already.
TEST_F(HandOver, WhoCannotListenLetsGoOfThePort) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  second.life.until_logged(" prepared to take the port over");
  ::unlink(options.socket_path.c_str());
  ASSERT_EQ(::mkdir(options.socket_path.c_str(), 0700), 0);
  first.die();
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(second.becomes(), PortOwnership::serving);
  second.life.events.until<FrontEndDisconnected>();
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  EXPECT_TRUE(second.life.port->info().standing_by);
  ASSERT_EQ(::rmdir(options.socket_path.c_str()), 0);
  while (second.becomes() != PortOwnership::serving) {  // it may have tried once more before
  }
  expect_traffic(second.life, *machine);
}

/// With loans a port has a record of its own, which is taken over at the hand-over only.
TEST_F(HandOver, WhatIsLentGoesOnAsPreparedToo) {
  options.zero_copy = true;
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  second.life.until_logged(" prepared to take the port over");
  transmit_large(*machine, 1);
  const auto lent = take_lent(*first.life.port);
  ASSERT_EQ(lent.size(), 1U);
  first.die();
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(second.becomes(), PortOwnership::serving);
  EXPECT_TRUE(second.goes_on_as_prepared());
  const auto again = take_lent(*second.life.port);
  EXPECT_EQ(again.size(), 1U);
  free_all(again);
  free_all(lent);
}

/// Who stands by keeps nothing of a guest that is gone.
TEST_F(HandOver, WhatIsPreparedEndsWithItsConnection) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  second.life.until_logged(" prepared to take the port over");
  ASSERT_NE(mappings_of_guests(), 0U);
  machine.reset();
  first.life.events.until<FrontEndDisconnected>();
  while (mappings_of_guests() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(HandOver, WhoStandsByGoesOnAfterTheOtherHasClosedThePort) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  first.life.end();
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  expect_service(second);
}

TEST_F(HandOver, WithoutAClaimThatWaitsTheOwnerIsNamed) {
  serve();
  BackEnd second(folder.path("keeper"), options, KeeperClaim::if_free);
  EXPECT_EQ(second.life.error.code, ErrorCode::busy);
  EXPECT_NE(second.life.error.message.find("belongs to this process"), std::string::npos) << second.life.error.message;
}

/// Nobody has to wait: the same options work for the first start.
TEST_F(HandOver, WhereNobodyServesThePortIsTakenAtOnce) {
  BackEnd& first = open(KeeperClaim::take_over);
  machine = std::make_unique<FakeMachine>(options.socket_path);
  machine->bring_up();
  until_started(first.life);
  expect_traffic(first.life, *machine);
}

TEST_F(HandOver, OfTwoThatTakeOverOneDoesAndTheOtherLearnsWho) {
  BackEnd& old = serve();
  old.life.stop();  // it answers nothing meanwhile
  BackEnd& second = open(KeeperClaim::take_over);
  BackEnd& third = open(KeeperClaim::take_over);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  EXPECT_EQ(third.becomes(), PortOwnership::standing_by);
  old.die();
  expect_service(second);
  second.confirm();
  const auto told = third.ownership();
  EXPECT_EQ(told.ownership, PortOwnership::standing_by);
  EXPECT_EQ(told.other_pid, ::getpid());
}

/// Front-ends that connect while nobody serves wait, and are served.
TEST_F(HandOver, TheListeningSocketIsKeptToo) {
  BackEnd& first = open(KeeperClaim::if_free);
  BackEnd& second = open(KeeperClaim::stand_by);
  first.life.stop();
  machine = std::make_unique<FakeMachine>(options.socket_path);
  ::shutdown(first.connection, SHUT_RDWR);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  EXPECT_EQ(second.becomes(), PortOwnership::serving);
  EXPECT_FALSE(second.life.events.until<FrontEndConnected>().adopted);
  machine->bring_up();
  until_started(second.life);
  expect_traffic(second.life, *machine);
}

/// A socket whose file is gone, or is another's, leads nobody to it.
TEST_F(HandOver, ASocketWhoseFileIsGoneIsMadeAnew) {
  BackEnd& first = serve();
  ::unlink(options.socket_path.c_str());
  first.die();
  BackEnd& second = open(KeeperClaim::if_free);
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  until_started(second.life);
  expect_traffic(second.life, *machine);
  machine.reset();
  second.life.events.until<FrontEndDisconnected>();
  FakeMachine next(options.socket_path);
  EXPECT_FALSE(second.life.events.until<FrontEndConnected>().adopted);
}

TEST_F(HandOver, ANewKeeperIsFilledAgain) {
  BackEnd& first = serve();
  keeper->stop();
  start_keeper();
  keeper->wait_for(KeeperEvent::Kind::claimed);
  expect_traffic(first.life, *machine);
  first.life.until_logged("the connection is held by a keeper again");
  first.die();
  BackEnd& second = open(KeeperClaim::if_free);
  EXPECT_TRUE(second.life.events.until<FrontEndConnected>().adopted);
  until_started(second.life);
  expect_traffic(second.life, *machine);
  machine->sync();
}

/// The port that a process cannot serve, as its owner lives, is there for the owner at once.
TEST_F(HandOver, ANewKeeperIsFilledAlsoWhereWhoWaitsFindsItFirst) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  first.life.stop();
  keeper->stop();
  start_keeper();
  second.life.until_logged("cannot be served");
  first.life.go_on();
  first.life.until_logged("the connection is held by a keeper again");
  first.die();
  expect_service(second);
}

/// What a keeper that is gone has asked for is not done: nobody would get the port.
TEST_F(HandOver, WhoTakesOverAsksAtANewKeeperAgain) {
  BackEnd& old = serve();
  old.life.stop();
  BackEnd& fresh = open(KeeperClaim::take_over);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  until_asked(old);
  fresh.life.stop();
  keeper->stop();
  until_left(old);
  start_keeper();
  old.life.go_on();
  old.life.until_logged("the connection is held by a keeper again");
  fresh.life.go_on();
  expect_service(fresh);
  EXPECT_EQ(old.becomes(), PortOwnership::yielding);
}

TEST_F(HandOver, APortThatIsClosedStandsByNoMore) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  second.life.stop();
  second.life.port->close();
  second.life.go_on();
  first.die();
  BackEnd& third = open(KeeperClaim::if_free);
  EXPECT_TRUE(third.life.events.until<FrontEndConnected>().adopted);
}

struct DestroyedPort : HandOver, ::testing::WithParamInterface<PortOwnership> {};

/// Also where other work of the port's is to be done in the same turn.
TEST_P(DestroyedPort, IsTakenOver) {
  BackEnd& first = serve();
  Life& old = first.life;
  old.stop();
  old.on_event = [&old](const PortEvent& event) {
    const auto* const changed = std::get_if<OwnershipChanged>(&event);
    if (changed != nullptr && changed->ownership == GetParam()) old.port.reset();
  };
  machine->ring(1).driver.set_avail_index(1000);  // broken: the control thread is to look
  EXPECT_EQ(take_burst(old.port->from_guest()), 0);
  BackEnd& fresh = open(KeeperClaim::take_over);
  until_asked(first);
  old.go_on();
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  EXPECT_TRUE(fresh.life.events.until<FrontEndConnected>().adopted);
  EXPECT_EQ(fresh.becomes(), PortOwnership::serving);
}

INSTANTIATE_TEST_SUITE_P(InItsHandler, DestroyedPort,
                         ::testing::Values(PortOwnership::yielding, PortOwnership::standing_by));

TEST_F(HandOver, WhatStandsByIsAskedForLater) {
  BackEnd& old = serve();
  BackEnd& fresh = open(KeeperClaim::stand_by);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  expect_traffic(old.life, *machine);
  fresh.life.take_over();
  expect_service(fresh);
  EXPECT_EQ(old.becomes(), PortOwnership::yielding);
  EXPECT_EQ(old.becomes(), PortOwnership::standing_by);
  fresh.life.take_over();  // it serves: nobody is asked
  fresh.confirm();
  EXPECT_EQ(old.becomes(), PortOwnership::handed_over);
  old.life.take_over();  // it has handed it over for good
  expect_traffic(fresh.life, *machine);
}

TEST_F(HandOver, WhatIsAskedForWithoutAKeeperIsAskedForAtTheNextOne) {
  BackEnd& old = serve();
  BackEnd& fresh = open(KeeperClaim::stand_by);
  EXPECT_EQ(fresh.becomes(), PortOwnership::standing_by);
  keeper->stop();
  until_left(fresh);
  fresh.life.take_over();
  start_keeper();
  old.life.until_logged("the connection is held by a keeper again");
  expect_service(fresh);
}

TEST_F(HandOver, WhoWaitsFindsANewKeeperToo) {
  BackEnd& first = serve();
  BackEnd& second = open(KeeperClaim::stand_by);
  EXPECT_EQ(second.becomes(), PortOwnership::standing_by);
  keeper->stop();
  start_keeper();
  second.life.until_logged("waits for the port at a keeper again");
  first.die();
  expect_service(second);
}

}  // namespace
}  // namespace vhostx::test
