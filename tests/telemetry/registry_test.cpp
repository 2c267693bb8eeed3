// SPDX-License-Identifier: BSD-3-Clause
// Ports under names, and their withdrawal while a request looks at them.
#include "telemetry/registry.hpp"

#include <atomic>
#include <future>
#include <thread>

#include <vhostx/telemetry.hpp>

#include "telemetry/requests.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::telemetry {
namespace {

using test::must;
using test::PortFixture;

TEST(PublishedPort, IsNamedAsAskedOrAsItsSocket) {
  PortFixture fixture;
  EXPECT_EQ(must(PublishedPort::publish(*fixture.port, "vm0")).name(), "vm0");
  EXPECT_EQ(must(PublishedPort::publish(*fixture.port)).name(), fixture.options.socket_path);
}

TEST(PublishedPort, KeepsItsNameForAsLongAsItLives) {
  PortFixture fixture;
  auto first = must(PublishedPort::publish(*fixture.port, "vm0"));
  const auto second = PublishedPort::publish(*fixture.port, "vm0");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_NE(second.error().message.find("'vm0'"), std::string::npos);

  auto moved = std::move(first);
  EXPECT_EQ(first.name(), "") << "it names nothing any more";
  EXPECT_FALSE(PublishedPort::publish(*fixture.port, "vm0"));
  moved = must(PublishedPort::publish(*fixture.port, "vm1"));
  EXPECT_TRUE(PublishedPort::publish(*fixture.port, "vm0")) << "withdrawn by the assignment";
}

TEST(PublishedPort, RefusesNamesThatDpdkWouldChange) {
  PortFixture fixture;
  for (const auto& name : {std::string(128, 'a'), std::string("a\nb"), std::string("\xc3\xa4")}) {
    const auto refused = PublishedPort::publish(*fixture.port, name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(PublishedPort::publish(*fixture.port, std::string(127, 'a')));
}

TEST(Registry, ListsNamesInOrder) {
  PortFixture fixture;
  Registry registry;
  must(registry.add("b", *fixture.port));
  const auto a = must(registry.add("a", *fixture.port));
  EXPECT_EQ(registry.names(), (std::vector<std::string>{"a", "b"}));
  registry.remove(*a);
  EXPECT_EQ(registry.names(), std::vector<std::string>{"b"});
  EXPECT_EQ(registry.find("a"), nullptr);
  EXPECT_FALSE(a->with_port([](Port&) { ADD_FAILURE() << "it was withdrawn"; }));
}

TEST(Registry, RemovalLeavesAnotherPortOfTheSameNameAlone) {
  PortFixture fixture;
  Registry registry;
  const auto old = must(registry.add("a", *fixture.port));
  registry.remove(*old);
  const auto present = must(registry.add("a", *fixture.port));
  registry.remove(*old);
  EXPECT_EQ(registry.find("a"), present);
}

TEST(Registry, RemovalWaitsForTheRequestThatLooks) {
  PortFixture fixture;
  Registry registry;
  const auto named = must(registry.add("a", *fixture.port));
  std::promise<void> looking, go_on;
  std::atomic<bool> looked = false;
  std::thread request([&] {
    named->with_port([&](Port&) {
      looking.set_value();
      go_on.get_future().wait();
      looked = true;
    });
  });
  looking.get_future().wait();
  std::thread removal([&] {
    registry.remove(*named);
    EXPECT_TRUE(looked);
  });
  while (registry.find("a") != nullptr) std::this_thread::yield();  // the removal has begun
  go_on.set_value();
  removal.join();
  request.join();
}

TEST(Registry, PortsComeAndGoUnderRequests) {
  PortFixture fixture;
  test::FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  Registry registry;
  std::atomic<bool> done = false;
  std::atomic<unsigned> told = 0;
  std::thread requests([&] {
    while (!done)
      for (auto* request : {tell_port, tell_memory, tell_numa})
        if (request(registry, "a")) ++told;
  });
  for (unsigned round = 0; round < 50 || told < 50; ++round) {
    const auto named = must(registry.add("a", *fixture.port));
    for (const unsigned before = told; told == before && round < 50;) std::this_thread::yield();
    registry.remove(*named);
  }
  done = true;
  requests.join();
}

TEST(Registry, AnEventHandlerMayRemoveAPortThatIsAskedFor) {
  test::TemporaryFolder folder;
  Registry registry;
  std::shared_ptr<NamedPort> named;
  std::promise<void> removed;
  auto backend = must(Backend::create());
  PortOptions options;
  options.socket_path = folder.path("vhost");
  auto port = must(backend->open_port(options, [&](Port&, const PortEvent& event) {
    if (!std::holds_alternative<FrontEndConnected>(event)) return;
    registry.remove(*named);
    removed.set_value();
  }));
  named = must(registry.add("a", *port));
  std::promise<void> asked;
  std::thread request([&] {
    bool first = true;
    while (tell_memory(registry, "a"))
      if (std::exchange(first, false)) asked.set_value();
  });
  asked.get_future().wait();
  test::FakeMachine machine(options.socket_path);
  removed.get_future().wait();
  request.join();
}

}  // namespace
}  // namespace vhostx::telemetry
