// SPDX-License-Identifier: BSD-3-Clause
// The library on a notify socket: what is sent, and processes of a service that are killed and started again.
#include "systemd/notify_socket.hpp"

#include <csignal>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <unistd.h>

#include <gtest/gtest.h>

#include <vhostx/systemd.hpp>

#include "continuity/keeper_service.hpp"
#include "tests/systemd/fake_systemd.hpp"

namespace vhostx::systemd {
namespace {

using continuity::memory_file;
using continuity::same_file;
using Keeper = std::unique_ptr<continuity::PortKeeper>;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}
#define REQUIRE(condition) require((condition), #condition)

struct Notify : ::testing::Test {
  Notify() { ::setenv("NOTIFY_SOCKET", systemd.socket_path().c_str(), 1); }
  ~Notify() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("FDSTORE");
  }

  FakeSystemd systemd;
  NotifySocket socket{std::chrono::milliseconds(1)};
};

TEST_F(Notify, RequestsAreThoseOfTheManual) {
  const UniqueFd file = memory_file();
  ASSERT_TRUE(socket.store("vhostx-1", file.get()));
  EXPECT_EQ(systemd.read_all(), std::vector<std::string>{"FDSTORE=1\nFDPOLL=0\nFDNAME=vhostx-1"});
  ASSERT_EQ(systemd.store().size(), 1U);
  EXPECT_TRUE(same_file(systemd.store().handed_over().front().fd.get(), file.get()));
  ASSERT_TRUE(socket.remove("vhostx-1"));
  EXPECT_EQ(systemd.read_all(), std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=vhostx-1"});
  EXPECT_EQ(systemd.store().size(), 0U);
}

TEST_F(Notify, AManagerThatDoesNotReadIsNotWaitedForForEver) {
  const auto done = socket.settle();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::timed_out);
  EXPECT_EQ(systemd.read_all(), std::vector<std::string>{"BARRIER=1"});
}

TEST_F(Notify, AManagerThatIsGoneIsAnError) {
  const UniqueFd file = memory_file();
  ::setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  EXPECT_EQ(socket.store("vhostx-1", file.get()).error().code, ErrorCode::system);
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(socket.remove("vhostx-1").error().code, ErrorCode::closed);
}

TEST_F(Notify, PlacesAreThoseOfTheEnvironment) {
  EXPECT_EQ(*places_of_environment(), std::numeric_limits<std::size_t>::max()) << "before systemd 254";
  ::setenv("FDSTORE", "4096", 1);
  EXPECT_EQ(*places_of_environment(), 4096U);
  for (const char* const bad : {"0", "", "-1", "x", "5 ", "99999999999999999999"}) {
    ::setenv("FDSTORE", bad, 1);
    const auto places = places_of_environment();
    ASSERT_FALSE(places) << bad;
    EXPECT_EQ(places.error().code, ErrorCode::unsupported);
    EXPECT_NE(places.error().message.find("FileDescriptorStoreMax="), std::string::npos);
  }
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_NE(places_of_environment().error().message.find("NOTIFY_SOCKET"), std::string::npos);
}

TEST_F(Notify, OnlyWhatIsOursIsTaken) {
  const UniqueFd file = out_of_the_way(memory_file()), other = out_of_the_way(memory_file());
  systemd.store().add("other", UniqueFd(::dup(other.get())));
  systemd.store().add("vhostx-1", UniqueFd(::dup(file.get())));
  const UniqueFd activated = out_of_the_way(continuity::socket_pair().first);
  EXPECT_EQ(0, systemd.run_service(
                   [&] {
                     {
                       const auto stored = take_stored();
                       REQUIRE(stored && stored->size() == 1 && stored->front().name == "vhostx-1");
                       REQUIRE(stored->front().fd.get() == 5 && same_file(5, file.get()));
                       REQUIRE(take_stored().error().code == ErrorCode::busy);
                     }
                     REQUIRE(same_file(3, activated.get()) && same_file(4, other.get()));
                   },
                   {activated.get()}));
}

TEST_F(Notify, AnEnvironmentThatDoesNotFitIsAnError) {
  const UniqueFd file = memory_file();
  systemd.store().add("vhostx-1", UniqueFd(::dup(file.get())));
  EXPECT_EQ(0, systemd.run_service([] {
    ::setenv("LISTEN_FDNAMES", "vhostx-1:vhostx-2", 1);
    const auto stored = take_stored();
    REQUIRE(!stored && stored.error().code == ErrorCode::invalid_argument);
    REQUIRE(stored.error().message.find("LISTEN_FDNAMES") != std::string::npos);
  }));
  EXPECT_EQ(0, systemd.run_service([] {
    ::setenv("LISTEN_FDNAMES", "", 1);
    REQUIRE(take_stored()->empty());
  })) << "without names";
  EXPECT_EQ(0, systemd.run_service([] {
    ::setenv("LISTEN_FDS", "many", 1);
    REQUIRE(take_stored().error().code == ErrorCode::invalid_argument);
  }));
  EXPECT_EQ(0, systemd.run_service([] {
    ::setenv("LISTEN_PID", "1", 1);
    REQUIRE(take_stored()->empty());
  })) << "for another process";
}

Keeper open_bundle(const SystemdStore& store) {
  auto opened = store.keeper()->open("/run/vm0.sock");
  REQUIRE(opened.ok());
  return std::move(opened).value();
}

TEST_F(Notify, AServiceIsKilledAndGoesOn) {
  const UniqueFd memory = out_of_the_way(memory_file());
  const UniqueFd connection = out_of_the_way(continuity::socket_pair().first);
  EXPECT_EQ(-SIGKILL, systemd.run_service([&] {
    const auto store = SystemdStore::open();
    REQUIRE(store.ok());
    const Keeper keeper = open_bundle(**store);
    REQUIRE(keeper->claim()->empty());
    REQUIRE(keeper->hold(0, connection.get()) && keeper->hold(16, memory.get()) && keeper->hold(17, memory.get()));
    ::raise(SIGKILL);
  }));
  systemd.read_all();
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(-SIGKILL, systemd.run_service([&] {
      const auto store = SystemdStore::open();
      REQUIRE(store.ok());
      const Keeper keeper = open_bundle(**store);
      const auto files = keeper->claim();
      REQUIRE(files && files->size() == 3 && same_file(files->at(0).get(), connection.get()));
      REQUIRE(same_file(files->at(16).get(), memory.get()) && same_file(files->at(17).get(), memory.get()));
      REQUIRE((*store)->drop_unclaimed() == 0);
      ::raise(SIGKILL);
    })) << life;
    systemd.read_all();
  }
  EXPECT_EQ(systemd.store().size(), 3U);
}

TEST_F(Notify, OptionsAreChecked) {
  EXPECT_EQ(SystemdStore::open(std::chrono::hours(25)).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(SystemdStore::open(std::chrono::milliseconds(-1)).error().code, ErrorCode::invalid_argument);
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(SystemdStore::open().error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace vhostx::systemd
