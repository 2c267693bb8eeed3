// SPDX-License-Identifier: BSD-3-Clause
// DEVICE_STATE: what a port knows of its guest goes through a descriptor of the front-end's to another port.
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <stdexcept>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "backend/connection/state_record.hpp"
#include "base/file_kind.hpp"
#include "tests/backend/backend_log.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;
using Blob = std::vector<std::byte>;
using backend::StateRecord;

constexpr std::uint64_t accepted = 0x100;  // the front-end's descriptor is used
constexpr std::uint64_t refused = 0x101;
constexpr std::uint32_t save = 0;
constexpr std::uint32_t load = 1;

Blob blob(std::size_t bytes) {
  Blob all(bytes);
  for (std::size_t i = 0; i < bytes; ++i) all[i] = static_cast<std::byte>(i * 7 + i / 256);
  return all;
}

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read, write;
};

Blob read_all(int fd) {
  Blob all;
  std::byte piece[4096];
  for (ssize_t got = 0; (got = ::read(fd, piece, sizeof piece)) > 0;) all.insert(all.end(), piece, piece + got);
  return all;
}

void write_all(int fd, const Blob& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote <= 0) throw std::runtime_error("write");
    done += static_cast<std::size_t>(wrote);
  }
}

/// What an application has of its guest.
struct Application {
  Blob state;
  std::vector<Blob> loaded;
  std::function<void()> at_save = [] {};
  std::function<Result<void>()> at_load = []() -> Result<void> { return {}; };

  void set(PortOptions& options) {
    options.save_state = [this] {
      at_save();
      return state;
    };
    options.load_state = [this](std::span<const std::byte> bytes) {
      auto good = at_load();
      if (good) loaded.emplace_back(bytes.begin(), bytes.end());
      return good;
    };
  }
};

/// A port whose options ask for DEVICE_STATE, and a front-end that has negotiated it.
struct Side {
  explicit Side(std::function<void(PortOptions&)> change = {})
      : fixture(
            [this, &change](PortOptions& options) {
              application.set(options);
              options.migrate_stats = true;
              options.message_timeout = std::chrono::milliseconds(2000);
              if (change) change(options);
            },
            log.options()),
        machine(fixture.options.socket_path) {
    negotiate();
    machine.send_memory();
  }

  void negotiate() {
    auto features = usual_protocol_features;
    features.set(ProtocolFeature::device_state);
    machine.negotiate(usual_features, features);
  }

  std::uint64_t begin(std::uint32_t direction, UniqueFd channel, std::uint32_t phase = 0) {
    auto message = make_request(Request::set_device_state_fd, DeviceState{direction, phase});
    message.add_fd(std::move(channel));
    const Message reply = must(machine.front_end().ask(message));
    EXPECT_EQ(reply.fd_count(), 0U);
    return reply.payload_as<U64>()->value;
  }
  std::uint64_t check() {
    return must(machine.front_end().ask(make_request(Request::check_device_state))).payload_as<U64>()->value;
  }
  void start_rings() {
    for (std::uint16_t i = 0; i < 2; ++i) {
      machine.configure_ring(i);
      machine.send_fds(i);
      machine.enable(i);
      machine.kick(i);
    }
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
  }
  void stop_rings() {
    for (std::uint16_t ring = 0; ring < 2; ++ring) must(machine.front_end().get_vring_base(ring));
    EXPECT_EQ(machine.status_of(Request::set_status, U64{0}), 0U);
  }
  Blob saved() {
    Pipe pipe;
    EXPECT_EQ(begin(save, std::move(pipe.write)), accepted);
    Blob bytes = read_all(pipe.read.get());
    EXPECT_EQ(check(), 0U);
    return bytes;
  }
  std::uint64_t loads(const Blob& bytes) {
    Pipe pipe;
    EXPECT_EQ(begin(load, std::move(pipe.read)), accepted);
    write_all(pipe.write.get(), bytes);
    pipe.write.reset();
    return check();
  }
  VringStats stats(std::uint16_t ring) { return fixture.port->vring(ring).stats(); }

  BackendLog log;
  Application application;
  PortFixture fixture;
  FakeMachine machine;
};

struct DeviceStateTest : ::testing::Test {
  Side source, destination;
};

TEST_F(DeviceStateTest, BothKindsMoveToAnotherPort) {
  source.application.state = blob(200'000);
  source.start_rings();
  transmit(source.machine, 3);
  EXPECT_EQ(take_burst(source.fixture.port->from_guest()), 3);
  source.stop_rings();
  const auto before = source.stats(1);
  EXPECT_EQ(before[VringCounter::packets], 3U);
  EXPECT_EQ(destination.loads(source.saved()), 0U);
  ASSERT_EQ(destination.application.loaded.size(), 1U);
  EXPECT_EQ(destination.application.loaded[0], source.application.state);
  EXPECT_EQ(destination.stats(1).values, before.values);
  EXPECT_EQ(destination.check(), 0U);
  EXPECT_EQ(destination.application.loaded.size(), 1U) << "loaded once";
  destination.start_rings();
  transmit(destination.machine, 2);
  EXPECT_EQ(take_burst(destination.fixture.port->from_guest()), 2);
  EXPECT_EQ(destination.stats(1)[VringCounter::packets], 5U) << "counting goes on";
  EXPECT_EQ(source.log.lines() + destination.log.lines(), "");
}

TEST_F(DeviceStateTest, TheLargestStateMoves) {
  source.application.state = blob(std::size_t{1} << 20);
  EXPECT_EQ(destination.loads(source.saved()), 0U);
  EXPECT_EQ(destination.application.loaded.at(0), source.application.state);
}

TEST_F(DeviceStateTest, AnEmptyStateIsOneToo) {
  EXPECT_EQ(destination.loads(source.saved()), 0U);
  EXPECT_EQ(destination.application.loaded.at(0), Blob());
}

TEST_F(DeviceStateTest, ASocketWillDo) {
  source.application.state = blob(300'000);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]);
  EXPECT_EQ(source.begin(save, UniqueFd(ends[1])), accepted);
  const Blob bytes = read_all(ours.get());
  EXPECT_EQ(source.check(), 0U);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ours = UniqueFd(ends[0]);
  EXPECT_EQ(destination.begin(load, UniqueFd(ends[1])), accepted);
  write_all(ours.get(), bytes);
  ours.reset();
  EXPECT_EQ(destination.check(), 0U);
  EXPECT_EQ(destination.application.loaded.at(0), source.application.state);
}

TEST_F(DeviceStateTest, AFileWillDo) {
  source.application.state = blob(300'000);
  const UniqueFd file(::memfd_create("test-state", MFD_CLOEXEC));
  EXPECT_EQ(source.begin(save, duplicate(file.get())), accepted);
  EXPECT_EQ(source.check(), 0U);
  const Blob bytes = read_all(file.get());
  const UniqueFd other(::memfd_create("test-state", MFD_CLOEXEC));
  EXPECT_EQ(destination.begin(load, duplicate(other.get())), accepted);
  write_all(other.get(), bytes);  // the front-end writes after the answer
  EXPECT_EQ(destination.check(), 0U);
  EXPECT_EQ(destination.application.loaded.at(0), source.application.state);
}

TEST_F(DeviceStateTest, TheSourceCanGoOn) {
  source.application.state = blob(10);
  source.start_rings();
  source.stop_rings();
  const Blob first = source.saved();
  source.negotiate();
  source.start_rings();
  source.stop_rings();
  EXPECT_EQ(source.saved(), first);
}

TEST_F(DeviceStateTest, TheCheckWaitsForTheEnd) {
  const Blob bytes = source.saved();
  Pipe pipe;
  EXPECT_EQ(destination.begin(load, std::move(pipe.read)), accepted);
  auto check = std::async(std::launch::async, [&] { return destination.check(); });
  const std::size_t half = bytes.size() / 2;
  write_all(pipe.write.get(), Blob(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(half)));
  EXPECT_EQ(check.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  write_all(pipe.write.get(), Blob(bytes.begin() + static_cast<std::ptrdiff_t>(half), bytes.end()));
  pipe.write.reset();
  EXPECT_EQ(check.get(), 0U);
  EXPECT_EQ(destination.application.loaded.size(), 1U);
}

TEST_F(DeviceStateTest, ACheckWithoutATransferIsAnswered) {
  EXPECT_NE(source.check(), 0U);
  EXPECT_TRUE(source.log.has("no state was transferred"));
}

TEST_F(DeviceStateTest, EachFlippedByteAndEachTruncationIsRefused) {
  source.application.state = blob(100);
  const Blob good = source.saved();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Blob bad = good;
    bad[i] ^= std::byte{0x10};
    EXPECT_NE(destination.loads(bad), 0U) << "byte " << i;
    EXPECT_NE(destination.loads(Blob(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(i))), 0U)
        << i << " bytes";
  }
  Blob longer = good;
  longer.push_back(std::byte{0});
  EXPECT_NE(destination.loads(longer), 0U);
  EXPECT_TRUE(destination.application.loaded.empty());
  EXPECT_EQ(destination.stats(1).values, VringStats{}.values);
  EXPECT_TRUE(destination.log.has("CHECK_DEVICE_STATE: the state did not move: the record of"));
  EXPECT_EQ(destination.loads(good), 0U) << "the good one is taken all the same";
}

// A record that is in order, of a front-end that says what it likes.
TEST_F(DeviceStateTest, WhatDoesNotFitThePortIsRefused) {
  StateRecord record;
  record.statistics.emplace(3);
  EXPECT_NE(destination.loads(record.serialize()), 0U);
  EXPECT_TRUE(destination.log.has("statistics of 3 vrings, expected at most 2"));
  record.statistics.reset();
  record.application = blob((std::size_t{1} << 20) + 1);
  EXPECT_NE(destination.loads(record.serialize()), 0U);
  EXPECT_TRUE(destination.log.has("the application's state has 1048577 bytes"));
  EXPECT_TRUE(destination.application.loaded.empty());
}

TEST_F(DeviceStateTest, MoreThanFitsIsNotRead) {
  Pipe pipe;
  EXPECT_EQ(destination.begin(load, std::move(pipe.read)), accepted);
  std::signal(SIGPIPE, SIG_IGN);
  const Blob much = blob(std::size_t{4} << 20);
  EXPECT_THROW(write_all(pipe.write.get(), much), std::runtime_error) << "the other end is closed";
  std::signal(SIGPIPE, SIG_DFL);
  EXPECT_NE(destination.check(), 0U);
  EXPECT_TRUE(destination.log.has("state_bytes_max is 1048576"));
}

TEST_F(DeviceStateTest, ATooLargeStateIsNotSaved) {
  source.application.state = blob((std::size_t{1} << 20) + 1);
  EXPECT_EQ(source.begin(save, Pipe().write), refused);
  EXPECT_TRUE(source.log.has("save_state returned 1048577 bytes, expected at most 1048576"));
}

TEST_F(DeviceStateTest, CallbacksMayThrowAndRefuse) {
  source.application.at_save = [] { throw std::runtime_error("no firewall"); };
  EXPECT_EQ(source.begin(save, Pipe().write), refused);
  EXPECT_TRUE(source.log.has("save_state threw: no firewall"));
  source.application.at_save = [] { throw 1; };
  EXPECT_EQ(source.begin(save, Pipe().write), refused);
  source.application.at_save = [] {};
  const Blob bytes = source.saved();
  destination.application.at_load = []() -> Result<void> { throw std::runtime_error("no table"); };
  EXPECT_NE(destination.loads(bytes), 0U);
  EXPECT_TRUE(destination.log.has("load_state threw: no table"));
  destination.application.at_load = []() -> Result<void> { return Error{ErrorCode::limit, "too many connections", 0}; };
  EXPECT_NE(destination.loads(bytes), 0U);
  EXPECT_TRUE(destination.log.has("the application refused its state: too many connections"));
}

TEST_F(DeviceStateTest, StatisticsStayWhereTheApplicationRefuses) {
  source.start_rings();
  transmit(source.machine, 3);
  take_burst(source.fixture.port->from_guest());
  source.stop_rings();
  destination.application.at_load = []() -> Result<void> { return Error{ErrorCode::limit, "no", 0}; };
  EXPECT_NE(destination.loads(source.saved()), 0U);
  EXPECT_EQ(destination.stats(1)[VringCounter::packets], 0U);
}

TEST_F(DeviceStateTest, DirectionPhaseAndDescriptorAreChecked) {
  EXPECT_EQ(source.begin(2, Pipe().write), refused);
  EXPECT_EQ(source.begin(save, Pipe().write, 1), refused);
  EXPECT_EQ(source.begin(save, Pipe().read), refused);
  EXPECT_EQ(source.begin(load, Pipe().write), refused);
  EXPECT_EQ(source.begin(save, UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))), refused);
  EXPECT_EQ(source.begin(load, UniqueFd(::open("/", O_RDONLY | O_CLOEXEC))), refused);
  EXPECT_EQ(source.begin(save, duplicate(source.machine.ring(0).kick.get())), refused);
  EXPECT_EQ(source.begin(save, UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))), refused);
  EXPECT_TRUE(source.log.has("refused: SET_DEVICE_STATE_FD: direction 2, expected 0 to save or 1 to load"));
  EXPECT_TRUE(source.log.has("the descriptor is a character device, expected a pipe, a socket or a file"));
  EXPECT_NE(source.check(), 0U);
}

TEST_F(DeviceStateTest, NothingMovesWhileRingsRun) {
  source.start_rings();
  EXPECT_EQ(source.begin(save, Pipe().write), refused);
  EXPECT_TRUE(source.log.has("rings run"));
  source.stop_rings();
  source.saved();
}

TEST_F(DeviceStateTest, ASecondTransferIsRefusedAndTheFirstEnds) {
  source.application.state = blob(1 << 20);
  Pipe pipe;
  EXPECT_EQ(source.begin(save, std::move(pipe.write)), accepted);
  EXPECT_EQ(source.begin(save, Pipe().write), refused);
  EXPECT_EQ(source.begin(load, Pipe().read), refused);
  EXPECT_TRUE(StateRecord::parse(read_all(pipe.read.get())).ok());
  EXPECT_EQ(source.check(), 0U);
}

TEST_F(DeviceStateTest, APipeThatLostItsReaderIsAnError) {
  source.application.state = blob(1 << 20);
  Pipe pipe;
  EXPECT_EQ(source.begin(save, std::move(pipe.write)), accepted);
  pipe.read.reset();
  EXPECT_NE(source.check(), 0U);
  EXPECT_TRUE(source.log.has("Broken pipe"));
}

/// The front-end takes O_NONBLOCK away as often as it likes, and neither reads nor writes.
TEST_F(DeviceStateTest, APipeThatNobodyServesIsBoundedInTime) {
  const auto told = [&](PortOptions& options) {
    options.socket_path = source.fixture.folder.path("other");
    options.message_timeout = std::chrono::milliseconds(300);
    options.save_state = [] { return blob(1 << 20); };
    options.load_state = [](std::span<const std::byte>) { return Result<void>(); };
  };
  PortOptions options;
  told(options);
  EventLog events;
  const auto slow = must(source.fixture.backend->open_port(options, events.handler()));
  FakeMachine machine(options.socket_path);
  auto features = usual_protocol_features;
  features.set(ProtocolFeature::device_state);
  machine.negotiate(usual_features, features);
  for (const std::uint32_t direction : {save, load}) {
    Pipe pipe;
    UniqueFd& theirs = direction == save ? pipe.write : pipe.read;
    auto message = make_request(Request::set_device_state_fd, DeviceState{direction, 0});
    message.add_fd(duplicate(theirs.get()));
    EXPECT_EQ(must(machine.front_end().ask(message)).payload_as<U64>()->value, accepted);
    const auto began = std::chrono::steady_clock::now();
    auto check = std::async(std::launch::async, [&] {
      return must(machine.front_end().ask(make_request(Request::check_device_state))).payload_as<U64>()->value;
    });
    int others = 0;  // round trips of another port of the same control thread
    while (check.wait_for(std::chrono::milliseconds(1)) == std::future_status::timeout) {
      ::fcntl(theirs.get(), F_SETFL, ::fcntl(theirs.get(), F_GETFL) & ~O_NONBLOCK);
      source.machine.sync();
      ++others;
    }
    EXPECT_NE(check.get(), 0U);
    EXPECT_GT(others, 20);
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_GE(took, std::chrono::milliseconds(250));
    EXPECT_LT(took, std::chrono::seconds(10));
  }
  EXPECT_TRUE(source.log.has("bytes were read by the front-end in 300 ms"));
  EXPECT_TRUE(source.log.has("0 bytes were written by the front-end in 300 ms"));
}

TEST_F(DeviceStateTest, AFrontEndMayLeaveMeanwhile) {
  Pipe pipe;
  EXPECT_EQ(source.begin(load, std::move(pipe.read)), accepted);
  must(source.machine.front_end().send(make_request(Request::check_device_state)));
  source.machine.front_end().disconnect();
  pipe.write.reset();
  source.fixture.events.until<FrontEndDisconnected>();
  EXPECT_EQ(destination.begin(load, Pipe().read), accepted);
  destination.fixture.port.reset();
}

TEST(DeviceStateOptions, OfferOnlyWhatWasAskedFor) {
  const auto offered = [](std::function<void(PortOptions&)> change) {
    PortFixture fixture(std::move(change));
    return ProtocolFeatureSet(fixture.port->info().protocol_features_offered).has(ProtocolFeature::device_state);
  };
  Application application;
  EXPECT_FALSE(offered({}));
  EXPECT_TRUE(offered([](PortOptions& options) { options.migrate_stats = true; }));
  EXPECT_TRUE(offered([&](PortOptions& options) { application.set(options); }));
}

TEST(DeviceStateOptions, ARecordWithAStateNeedsAnApplication) {
  Side source;
  Side destination([](PortOptions& options) { options.save_state = nullptr, options.load_state = nullptr; });
  EXPECT_NE(destination.loads(source.saved()), 0U);
  EXPECT_TRUE(destination.log.has("but this port has no load_state"));
}

TEST(DeviceStateOptions, WhereNoStatisticsWereAskedForNoneCome) {
  Side source;
  source.start_rings();
  transmit(source.machine, 3);
  take_burst(source.fixture.port->from_guest());
  source.stop_rings();
  Side destination([](PortOptions& options) { options.migrate_stats = false; });
  EXPECT_EQ(destination.loads(source.saved()), 0U);
  EXPECT_EQ(destination.stats(1)[VringCounter::packets], 0U);
  EXPECT_EQ(destination.application.loaded.size(), 1U);
}

}  // namespace
}  // namespace vhostx::test
