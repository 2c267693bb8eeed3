// SPDX-License-Identifier: BSD-3-Clause
// From opening a port to its end: sockets, roles, reconnection, and ends at inconvenient moments.
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backend/connection/unix_socket.hpp"
#include "protocol/socket_io.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/protocol/open_fds.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

Error error_of(Backend& backend, const PortOptions& options) {
  const auto port = backend.open_port(options);
  return port ? Error{} : port.error();
}

TEST(OpenPort, OptionsOutOfRangeAreNamed) {
  const auto backend = must(Backend::create());
  const TemporaryFolder folder;
  const auto refused = [&](const char* option, auto change) {
    PortOptions options;
    options.socket_path = folder.path("port");
    change(options);
    const Error error = error_of(*backend, options);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << option;
    EXPECT_NE(error.message.find(option), std::string::npos) << error.message;
  };
  refused("socket_path", [](PortOptions& o) { o.socket_path = ""; });
  refused("socket_path", [](PortOptions& o) { o.socket_path = std::string(108, 'x'); });
  refused("VIRTIO_F_ACCESS_PLATFORM", [](PortOptions& o) { o.features_extra = std::uint64_t{1} << 33; });
  refused("features_extra", [](PortOptions& o) { o.features_extra = ~std::uint64_t{0}; });
  refused("DEVICE_STATE", [](PortOptions& o) { o.protocol_features_extra = std::uint64_t{1} << 19; });
  refused("expected BACKEND_REQ", [](PortOptions& o) { o.protocol_features_extra = std::uint64_t{1} << 14; });
  refused("abstract sockets", [](PortOptions& o) { o.socket_path = "@port"; });
  refused("socket_mode is 01000, expected 0 to 0777", [](PortOptions& o) { o.socket_mode = 01000; });
  refused("socket_group is 4294967295", [](PortOptions& o) { o.socket_group = ~0u; });
  refused("socket_mode is given in the client role", [](PortOptions& o) {
    o.role = Role::client;
    o.socket_mode = 0600;
  });
  refused("socket_group is given in the client role", [](PortOptions& o) {
    o.role = Role::client;
    o.socket_group = 0;
  });
  refused("queue_pairs_max", [](PortOptions& o) { o.queue_pairs_max = 0; });
  refused("queue_pairs_max", [](PortOptions& o) { o.queue_pairs_max = 129; });
  refused("memory_slots_max", [](PortOptions& o) { o.memory_slots_max = 7; });
  refused("memory_slots_max", [](PortOptions& o) { o.memory_slots_max = 4097; });
  refused("memory_bytes_max", [](PortOptions& o) { o.memory_bytes_max = (std::uint64_t{1} << 63) + 1; });
  refused("message_timeout", [](PortOptions& o) { o.message_timeout = std::chrono::milliseconds(0); });
  refused("reconnect_delay_max", [](PortOptions& o) { o.reconnect_delay_max = std::chrono::milliseconds(1); });
}

TEST(OpenPort, AMissingFolderIsASystemErrorWithThePath) {
  const auto backend = must(Backend::create());
  PortOptions options;
  options.socket_path = "/nowhere/port";
  const Error error = error_of(*backend, options);
  EXPECT_EQ(error.code, ErrorCode::system);
  EXPECT_EQ(error.system_errno, ENOENT);
  EXPECT_NE(error.message.find("/nowhere/port"), std::string::npos);
}

TEST(OpenPort, AStaleSocketIsReplaced) {
  const TemporaryFolder folder;
  const std::string path = folder.path("port");
  {
    const auto socket = must(backend::make_unix_socket());
    ASSERT_EQ(backend::bind_unix(socket.get(), path), 0);  // and its process is gone
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto backend = must(Backend::create());
  PortOptions options;
  options.socket_path = path;
  const auto port = must(backend->open_port(options));
  FakeMachine(path).negotiate();
}

TEST(OpenPort, ALiveSocketIsNotStolen) {
  PortFixture fixture;
  const auto other = must(Backend::create());
  const Error error = error_of(*other, fixture.options);
  EXPECT_EQ(error.code, ErrorCode::busy);
  EXPECT_EQ(error.message, "'" + fixture.options.socket_path + "' is in use: this process listens on it");
  FakeMachine(fixture.options.socket_path).negotiate();
}

TEST(OpenPort, AFileThatIsNoSocketIsNotReplaced) {
  const TemporaryFolder folder;
  PortOptions options;
  options.socket_path = folder.path("precious");
  std::ofstream(options.socket_path) << "text";
  const auto backend = must(Backend::create());
  EXPECT_EQ(error_of(*backend, options).code, ErrorCode::busy);
  EXPECT_EQ(std::filesystem::file_size(options.socket_path), 4u);
}

TEST(ClosePort, RemovesItsSocketAndNoOther) {
  PortFixture fixture;
  EXPECT_TRUE(std::filesystem::exists(fixture.options.socket_path));
  fixture.port.reset();
  EXPECT_FALSE(std::filesystem::exists(fixture.options.socket_path));

  fixture.port = must(fixture.backend->open_port(fixture.options));
  std::filesystem::remove(fixture.options.socket_path);
  std::ofstream(fixture.options.socket_path) << "somebody else's";
  fixture.port.reset();
  EXPECT_TRUE(std::filesystem::exists(fixture.options.socket_path));
}

TEST(ServerRole, ASecondFrontEndIsTurnedAwayWhileTheFirstLives) {
  PortFixture fixture;
  FakeMachine first(fixture.options.socket_path);
  first.negotiate();
  FakeMachine second(fixture.options.socket_path);
  EXPECT_TRUE(second.front_end().closed_by_peer());
  first.sync();
}

// The loop is the application's here, so that both ends wait when it looks.
TEST(ServerRole, WhyTheLastConnectionEndedIsKeptUntilTheNext) {
  PortFixture fixture;
  EXPECT_EQ(fixture.port->info().last_error, "");
  FakeMachine(fixture.options.socket_path).front_end().disconnect();
  const std::string reason = fixture.events.until<FrontEndDisconnected>().reason.message;
  EXPECT_NE(reason, "");
  EXPECT_EQ(fixture.port->info().last_error, reason);
  FakeMachine machine(fixture.options.socket_path);
  fixture.events.until<FrontEndConnected>();
  EXPECT_EQ(fixture.port->info().last_error, "");
}

TEST(ServerRole, AFrontEndThatComesBackAtOnceIsServedAtOnce) {
  PortFixture fixture({}, {.control_thread = ControlThread::application});
  const auto run_until = [&](auto&& holds) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!holds() && std::chrono::steady_clock::now() < end)
      fixture.backend->run_control(std::chrono::milliseconds(20));
    return holds();
  };
  for (std::uint64_t i = 1; i <= 50; ++i) {
    auto front_end = std::make_unique<FakeFrontEnd>(must(FakeFrontEnd::connect(fixture.options.socket_path)));
    ASSERT_TRUE(run_until([&] { return fixture.port->info().connections == i; }));
    EXPECT_TRUE(fixture.port->info().connected);
  }
}

TEST(ApplicationsLoop, ServesAConnection) {
  PortFixture fixture({}, {.control_thread = ControlThread::application});
  auto served = std::async(std::launch::async, [&] {
    FakeMachine machine(fixture.options.socket_path);
    machine.bring_up();
    fixture.events.until<VringStarted>();
  });
  while (served.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
    fixture.backend->run_control(std::chrono::milliseconds(10));
  served.get();
}

TEST(ApplicationsLoop, DoesWhatIsDueWithoutWaiting) {
  PortFixture fixture({}, {.control_thread = ControlThread::application});
  const FakeFrontEnd front_end = must(FakeFrontEnd::connect(fixture.options.socket_path));
  while (fixture.backend->run_control(std::chrono::milliseconds(0)) != 0) {
  }
  EXPECT_TRUE(fixture.port->info().connected);
}

TEST(ClientRole, ConnectsAndConnectsAgain) {
  const TemporaryFolder folder;
  PortOptions options;
  options.role = Role::client;
  options.socket_path = folder.path("front-end");
  options.reconnect_delay_min = std::chrono::milliseconds(2);
  options.reconnect_delay_max = std::chrono::milliseconds(20);
  const auto backend = must(Backend::create());
  EventLog events;
  const auto port = must(backend->open_port(options, events.handler()));  // nobody listens yet
  const ConnectFailed failed = std::get<ConnectFailed>(events.next());
  EXPECT_EQ(failed.error.system_errno, ENOENT);
  EXPECT_NE(failed.error.message.find(options.socket_path), std::string::npos);
  EXPECT_EQ(port->info().last_error, failed.error.message);
  const UniqueFd listener = must(FakeFrontEnd::listen(options.socket_path));
  for (std::uint64_t i = 1; i <= 20; ++i) {
    FakeMachine machine(must(FakeFrontEnd::accept(listener)));
    machine.bring_up();
    events.until<VringStarted>();
    EXPECT_EQ(port->info().last_error, "");
    EXPECT_EQ(port->info().connections, i);  // the next one may follow as soon as this one ends
    machine.front_end().disconnect();
    events.until<FrontEndDisconnected>();
  }
}

TEST(Reconnection, HundredsOfConnectionsLeaveNothingBehind) {
  PortFixture fixture;
  std::ptrdiff_t before = 0;
  for (int i = 0; i < 300; ++i) {
    {
      FakeMachine machine(fixture.options.socket_path);
      machine.bring_up();
      must(machine.front_end().open_backend_channel());
      machine.sync();
    }
    fixture.events.until<FrontEndDisconnected>();
    if (i == 0) before = open_fds();
  }
  EXPECT_EQ(open_fds(), before);
  EXPECT_EQ(fixture.port->info().connections, 300u);
}

// The steps of a front-end's life; a connection may end after each of them.
std::vector<std::function<void(FakeMachine&)>> steps_of_a_life() {
  return {
      [](FakeMachine& m) { m.negotiate(); },
      [](FakeMachine& m) { must(m.front_end().open_backend_channel()); },
      [](FakeMachine& m) { m.send_memory(); },
      [](FakeMachine& m) { must(m.front_end().set_vring(Request::set_vring_num, 0, 64)); },
      [](FakeMachine& m) { must(m.front_end().set_vring(Request::set_vring_base, 0, 0)); },
      [](FakeMachine& m) { must(m.front_end().set_vring_address(m.addresses(0))); },
      [](FakeMachine& m) { must(m.front_end().set_vring_fd(Request::set_vring_kick, 0, m.ring(0).kick.get())); },
      [](FakeMachine& m) { m.kick(0); },
      [](FakeMachine& m) { must(m.front_end().set_vring_fd(Request::set_vring_call, 0, m.ring(0).call.get())); },
      [](FakeMachine& m) { must(m.front_end().set_vring_fd(Request::set_vring_err, 0, m.ring(0).err.get())); },
      [](FakeMachine& m) { m.enable(0); },
      [](FakeMachine& m) { must(m.front_end().get_vring_base(0)); },
      [](FakeMachine& m) { must(m.front_end().set_u64(Request::set_status, 0)); },
  };
}

TEST(Reconnection, AConnectionMayEndAfterEachMessage) {
  PortFixture fixture;
  { FakeMachine machine(fixture.options.socket_path); }
  fixture.events.until<FrontEndDisconnected>();
  const auto before = open_fds();
  const auto steps = steps_of_a_life();
  for (std::size_t count = 0; count <= steps.size(); ++count) {
    {
      FakeMachine machine(fixture.options.socket_path);
      for (std::size_t i = 0; i < count; ++i) steps[i](machine);
    }
    fixture.events.until<FrontEndDisconnected>();
    EXPECT_EQ(open_fds(), before) << count;
  }
}

TEST(Reconnection, AConnectionMayEndInsideAMessage) {
  PortFixture fixture;
  { FakeMachine machine(fixture.options.socket_path); }
  fixture.events.until<FrontEndDisconnected>();
  const auto before = open_fds();
  for (std::size_t length = 1; length < 20; ++length) {
    {
      FakeMachine machine(fixture.options.socket_path);
      FdList fds;
      fds.add(duplicate(machine.ring(0).kick.get()));
      const auto bytes = encode(make_request(Request::set_vring_kick, U64{0}));
      must(machine.front_end().send_bytes(std::span(bytes).first(length), fds));
    }
    fixture.events.until<FrontEndDisconnected>();
    EXPECT_EQ(open_fds(), before) << length;
  }
}

// The handler destroys its own port, at each kind of event in turn.
class DestroyedFromItsEvent : public ::testing::TestWithParam<const char*> {};

TEST_P(DestroyedFromItsEvent, NothingIsLeft) {
  const TemporaryFolder folder;
  const auto backend = must(Backend::create());
  std::mutex lock;
  std::unique_ptr<Port> port;
  std::promise<void> started;
  std::promise<void> destroyed;
  PortOptions options;
  options.socket_path = folder.path("port");
  {
    const std::lock_guard guard(lock);
    port = must(backend->open_port(options, [&](Port&, const PortEvent& event) {
      if (const auto* ring = std::get_if<VringStarted>(&event); ring != nullptr && ring->index == 0)
        started.set_value();
      if (std::string(event_name(event)) != GetParam()) return;
      const std::lock_guard handler_guard(lock);
      ASSERT_NE(port, nullptr);
      port.reset();
      destroyed.set_value();
    }));
  }
  try {
    FakeMachine machine(options.socket_path);
    machine.bring_up();
    started.get_future().wait_for(patience);
    must(machine.front_end().set_u64(Request::net_set_mtu, 1500));
    must(machine.front_end().get_vring_base(0));
  } catch (const std::runtime_error&) {  // the port went away under it
  }
  ASSERT_EQ(destroyed.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_FALSE(std::filesystem::exists(options.socket_path));
}

INSTANTIATE_TEST_SUITE_P(EachEvent, DestroyedFromItsEvent,
                         ::testing::Values("connected", "features_negotiated", "memory_changed", "vring_enabled",
                                           "vring_started", "mtu_set", "vring_stopped", "disconnected"));

TEST(Events, AHandlerThatThrowsIsLoggedAndServedOn) {
  std::atomic<int> errors = 0;
  const auto backend = must(Backend::create({.log = [&errors](LogLevel level, std::string_view) {
    if (level == LogLevel::error) ++errors;
  }}));
  const TemporaryFolder folder;
  PortOptions options;
  options.socket_path = folder.path("port");
  const auto port = must(backend->open_port(options, [](Port&, const PortEvent&) { throw 42; }));
  FakeMachine machine(options.socket_path);
  machine.negotiate();
  machine.sync();
  EXPECT_GE(errors, 2);
}

TEST(Events, APortCanBeOpenedFromAnEvent) {
  const TemporaryFolder folder;
  const auto backend = must(Backend::create());
  std::mutex lock;
  std::unique_ptr<Port> second;
  std::promise<bool> opened;
  PortOptions options;
  options.socket_path = folder.path("first");
  const auto first = must(backend->open_port(options, [&](Port&, const PortEvent& event) {
    if (!std::holds_alternative<FrontEndConnected>(event)) return;
    PortOptions other;
    other.socket_path = folder.path("second");
    auto port = backend->open_port(other);
    const std::lock_guard guard(lock);
    if (port) second = std::move(port).value();
    opened.set_value(second != nullptr);
  }));
  FakeMachine machine(options.socket_path);
  ASSERT_TRUE(opened.get_future().get());
  FakeMachine(folder.path("second")).negotiate();
}

TEST(BackendEnd, ClosesPortsThatAreDestroyedLater) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  fixture.backend.reset();
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_EQ(fixture.events.rest(), "vring_stopped vring_ready vring_stopped vring_ready disconnected");
  EXPECT_FALSE(fixture.port->info().connected);
  EXPECT_FALSE(fixture.port->vring(0).state().started);
}

TEST(TwoBackends, ShareNothing) {
  PortFixture one;
  auto two = std::make_unique<PortFixture>();
  FakeMachine first(one.options.socket_path);
  FakeMachine second(two->options.socket_path);
  first.bring_up();
  second.bring_up();
  one.events.until<VringStarted>();
  two->events.until<VringStarted>();
  two.reset();
  first.sync();
  EXPECT_TRUE(one.port->vring(0).state().started);
}

// Without a descriptor to accept with there is no busy loop, one warning, and later the connection.
TEST(ServerRole, RunningOutOfDescriptorsIsSurvived) {
  std::atomic<int> warnings = 0;
  std::promise<void> warned;
  PortFixture fixture({}, {.log = [&](LogLevel, std::string_view line) {
                        if (line.find("accepting on") != line.npos && ++warnings == 1) warned.set_value();
                      }});
  const UniqueFd socket = must(backend::make_unix_socket());
  auto told = warned.get_future();
  told.wait_for(std::chrono::seconds(0));  // UBSan looks at a type that is new to it through a pipe: now there is one
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(::dup(socket.get()));  // the lowest free number
  ::close(static_cast<int>(none.rlim_cur));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const int connected = backend::connect_unix(socket.get(), fixture.options.socket_path);
  const auto waited = told.wait_for(patience);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(connected, 0);
  ASSERT_EQ(waited, std::future_status::ready);
  fixture.events.until<FrontEndConnected>();
  EXPECT_EQ(warnings, 1);
}

}  // namespace
}  // namespace vhostx::test
