// SPDX-License-Identifier: BSD-3-Clause
// Port::disconnect(): a connection ends, the port goes on.
#include <gtest/gtest.h>

#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

TEST(Disconnect, TheFrontEndIsGoneAndAnotherOneIsServed) {
  PortFixture fixture;
  EXPECT_FALSE(fixture.port->disconnect()) << "nobody is there";
  for (int i = 1; i <= 3; ++i) {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
    EXPECT_TRUE(fixture.port->disconnect());
    EXPECT_FALSE(fixture.port->info().connected);
    EXPECT_FALSE(fixture.port->disconnect()) << "it has just gone";
    EXPECT_TRUE(machine.front_end().closed_by_peer());
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStopped>();
    const auto gone = fixture.events.until<FrontEndDisconnected>();
    EXPECT_EQ(gone.reason.code, ErrorCode::closed);
    EXPECT_EQ(gone.reason.message, "the application ended the connection");
    EXPECT_EQ(fixture.port->info().last_error, gone.reason.message);
    EXPECT_EQ(fixture.port->info().connections, static_cast<std::uint64_t>(i));
  }
  EXPECT_EQ(fixture.events.rest(), "");
}

TEST(Disconnect, AClientConnectsAgain) {
  const TemporaryFolder folder;
  PortOptions options;
  options.role = Role::client;
  options.socket_path = folder.path("front-end");
  options.reconnect_delay_min = std::chrono::milliseconds(2);
  options.reconnect_delay_max = std::chrono::milliseconds(20);
  const UniqueFd listener = must(FakeFrontEnd::listen(options.socket_path));
  const auto backend = must(Backend::create());
  EventLog events;
  const auto port = must(backend->open_port(options, events.handler()));
  for (int i = 0; i < 3; ++i) {
    FakeMachine machine(must(FakeFrontEnd::accept(listener)));
    machine.bring_up();
    events.until<VringStarted>();
    EXPECT_TRUE(port->disconnect());
    EXPECT_TRUE(machine.front_end().closed_by_peer());
    EXPECT_EQ(events.until<FrontEndDisconnected>().reason.code, ErrorCode::closed);
  }
}

TEST(Disconnect, FromItsOwnEvent) {
  PortFixture fixture;
  EventLog events;
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("own");
  const auto port = must(fixture.backend->open_port(options, [&](Port& own, const PortEvent& event) {
    events.add(event);
    if (std::holds_alternative<FeaturesNegotiated>(event)) {
      EXPECT_TRUE(own.disconnect());
    }
  }));
  for (int i = 0; i < 2; ++i) {
    FakeMachine machine(options.socket_path);
    static_cast<void>(machine.front_end().negotiate(usual_features, usual_protocol_features));
    EXPECT_EQ(events.until<FrontEndDisconnected>().reason.code, ErrorCode::closed);
    EXPECT_TRUE(machine.front_end().closed_by_peer());
  }
}

// Nothing else happens to that port that would deliver its event.
TEST(Disconnect, FromAnotherPortsEvent) {
  PortFixture fixture;
  PortOptions options = fixture.options;
  options.socket_path = fixture.folder.path("other");
  const auto other = must(fixture.backend->open_port(options, [&](Port&, const PortEvent& event) {
    if (std::holds_alternative<FrontEndConnected>(event)) {
      EXPECT_TRUE(fixture.port->disconnect());
    }
  }));
  FakeMachine machine(fixture.options.socket_path);
  fixture.events.until<FrontEndConnected>();
  const FakeMachine cause(options.socket_path);
  EXPECT_EQ(fixture.events.until<FrontEndDisconnected>().reason.code, ErrorCode::closed);
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_TRUE(other->info().connected);
}

TEST(Disconnect, APortThatIsClosedHasNobody) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  fixture.events.until<FrontEndConnected>();
  fixture.port->close();
  EXPECT_FALSE(fixture.port->disconnect());
  fixture.backend.reset();
  EXPECT_FALSE(fixture.port->disconnect());
}

}  // namespace
}  // namespace vhostx::test
