// SPDX-License-Identifier: BSD-3-Clause
// KeptBundle at a keeper that runs: what one process left, the next one finds.
#include "continuity/kept_bundle.hpp"

#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

struct Kept : ::testing::Test {
  std::unique_ptr<PortKeeper> connect() {
    auto connected = KeptBundle::connect(path, "port");
    if (!connected) throw std::runtime_error(connected.error().message);
    return std::move(connected).value();
  }

  Folder folder;
  std::string path = folder.path("keeper");
  KeeperThread keeper{{.path = path, .grace = generous, .limits = {}, .on_event = {}}};
};

TEST_F(Kept, TheNextOwnerFindsWhatWasLeft) {
  const UniqueFd file = memory_file();
  auto first = connect();
  ASSERT_TRUE(first->claim());
  ASSERT_TRUE(first->hold(7, file.get()));
  ASSERT_TRUE(first->hold(8, file.get()));
  ASSERT_TRUE(first->drop(8));
  ASSERT_TRUE(first->park(generous));
  auto second = connect();
  const auto files = second->claim();
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->size(), 1U);
  EXPECT_TRUE(same_file(files->at(7).get(), file.get()));
}

TEST_F(Kept, AnOwnerThatLivesIsNamed) {
  auto first = connect();
  ASSERT_TRUE(first->claim());
  auto second = connect();
  const auto refused = second->claim();
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_EQ(refused.error().message, "'port' belongs to this process");
}

void wait_readable(const PortKeeper& bundle) {
  pollfd one{bundle.event_fd(), POLLIN, 0};
  if (::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())) != 1)
    throw std::runtime_error("no event came");
}

/// The next event, waited for.
PortKeeper::Event event_of(PortKeeper& bundle) {
  for (;;) {
    if (auto event = bundle.next_event()) return std::move(*event);
    wait_readable(bundle);
  }
}

TEST_F(Kept, ABundleIsHandedOverAndTakenBack) {
  const UniqueFd file = memory_file();
  auto old = connect();
  ASSERT_TRUE(old->claim());
  ASSERT_TRUE(old->hold(7, file.get()));
  auto fresh = connect();
  ASSERT_TRUE(fresh->wait(true));
  EXPECT_EQ(std::get<PortKeeper::YieldAsked>(event_of(*old)).asker_pid, static_cast<std::uint32_t>(::getpid()));
  ASSERT_TRUE(old->park(generous));
  ASSERT_TRUE(old->wait(false));
  EXPECT_EQ(std::get<PortKeeper::Granted>(event_of(*fresh)).files.size(), 1U);
  ASSERT_TRUE(fresh->settle());
  EXPECT_EQ(std::get<PortKeeper::Settled>(event_of(*old)).owner_pid, static_cast<std::uint32_t>(::getpid()));
  fresh.reset();
  EXPECT_EQ(std::get<PortKeeper::Granted>(event_of(*old)).files.size(), 1U);
}

/// What comes while something else is asked waits for who asks for it.
TEST_F(Kept, EventsThatComeInOtherCallsAreKept) {
  const UniqueFd file = memory_file();
  auto owner = connect();
  ASSERT_TRUE(owner->claim());
  auto asker = connect();
  ASSERT_TRUE(asker->wait(true));
  wait_readable(*owner);
  ASSERT_TRUE(owner->hold(7, file.get()));
  EXPECT_TRUE(owner->has_events());
  EXPECT_TRUE(std::holds_alternative<PortKeeper::YieldAsked>(event_of(*owner)));
  EXPECT_FALSE(owner->next_event());
  keeper.stop();
  EXPECT_TRUE(std::holds_alternative<PortKeeper::Gone>(event_of(*owner)));
}

/// A keeper that accepts no more than its backlog, and says nothing.
TEST_F(Kept, WhoWaitsPreparesWhatItWillGet) {
  const UniqueFd file = memory_file();
  auto first = connect();
  ASSERT_TRUE(first->claim());
  ASSERT_TRUE(first->hold(7, file.get()));
  EXPECT_FALSE(first->prepare()->has_value()) << "it has it";
  auto second = connect();
  ASSERT_TRUE(second->wait(false));
  const auto prepared = second->prepare();
  ASSERT_TRUE(prepared && *prepared);
  EXPECT_TRUE(same_file((*prepared)->at(7).get(), file.get()));
  ASSERT_TRUE(first->hold(8, file.get()));
  EXPECT_TRUE(std::holds_alternative<PortKeeper::Changed>(event_of(*second)));
  EXPECT_EQ((*second->prepare())->size(), 2U);
  ASSERT_TRUE(first->park(generous));
  const auto granted = event_of(*second);
  EXPECT_TRUE(std::get<PortKeeper::Granted>(granted).as_prepared);
  EXPECT_TRUE(std::get<PortKeeper::Granted>(granted).files.empty());
  ASSERT_TRUE(second->drop(8)) << "it owns it";
}

TEST_F(Kept, AKeeperThatDoesNotAnswerHoldsUpOnePort) {
  const std::string silent = folder.path("silent");
  const UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  silent.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  KeptBundles bundles(silent);
  EXPECT_EQ(bundles.open("a").error().code, ErrorCode::timed_out);
  EXPECT_EQ(bundles.open("b").error().message,
            "the keeper '" + silent + "' did not answer a moment ago; it is asked again after 10 s");
  KeptBundles good(path);
  EXPECT_TRUE(good.open("a"));
}

/// What the keeper refuses, or that it is gone, is an error of a later call at the latest.
TEST_F(Kept, FailuresAreToldLater) {
  const UniqueFd file = memory_file();
  const auto fails_in_time = [&](PortKeeper& bundle) {
    const auto end = std::chrono::steady_clock::now() + generous;
    while (std::chrono::steady_clock::now() < end)
      if (!bundle.hold(7, file.get())) return true;
    return false;
  };
  EXPECT_TRUE(fails_in_time(*connect())) << "nobody has claimed it";
  auto owner = connect();
  ASSERT_TRUE(owner->claim());
  keeper.stop();
  EXPECT_TRUE(fails_in_time(*owner));
  EXPECT_FALSE(KeptBundle::connect(path, "port"));
}

}  // namespace
}  // namespace vhostx::continuity
