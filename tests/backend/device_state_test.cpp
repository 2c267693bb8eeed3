// SPDX-License-Identifier: BSD-3-Clause
// DEVICE_STATE: what a port knows of its guest goes to another port.
#include <fcntl.h>
#include <functional>
#include <future>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

#include <gtest/gtest.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "backend/connection/state_record.hpp"
#include "tests/backend/backend_log.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;
using Blob = std::vector<std::byte>;
using backend::StateRecord;

constexpr std::uint64_t refused = 0x101;  // and no descriptor
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

  struct Begun {
    std::uint64_t answer;
    UniqueFd channel;  // of the back-end; empty: refused
  };
  /// As QEMU does it: with an end of a pipe.
  Begun begin(std::uint32_t direction, std::uint32_t phase = 0) {
    auto message = make_request(Request::set_device_state_fd, DeviceState{direction, phase});
    Pipe pipe;
    message.add_fd(std::move(direction == save ? pipe.write : pipe.read));
    Message reply = must(machine.front_end().ask(message));
    return {reply.payload_as<U64>()->value, reply.take_fd()};
  }
  bool refuses(std::uint32_t direction, std::uint32_t phase = 0) {
    const Begun begun = begin(direction, phase);
    return begun.answer == refused && !begun.channel;
  }
  UniqueFd channel(std::uint32_t direction) {
    Begun begun = begin(direction);
    EXPECT_EQ(begun.answer, 0U);
    EXPECT_TRUE(begun.channel);
    return std::move(begun.channel);
  }
  std::uint64_t check() {
    return must(machine.front_end().ask(make_request(Request::check_device_state))).payload_as<U64>()->value;
  }
  void start_rings() {
    machine.start_rings();
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
  }
  void stop_rings() {
    for (std::uint16_t ring = 0; ring < 2; ++ring) must(machine.front_end().get_vring_base(ring));
    EXPECT_EQ(machine.status_of(Request::set_status, U64{0}), 0U);
  }
  Blob saved() {
    Blob bytes = read_all(channel(save).get());
    EXPECT_EQ(check(), 0U);
    return bytes;
  }
  std::uint64_t loads(const Blob& bytes) {
    write_all(channel(load).get(), bytes);
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
  const UniqueFd channel = destination.channel(load);
  ASSERT_EQ(::ftruncate(channel.get(), off_t{1} << 40), 0);
  EXPECT_NE(destination.check(), 0U);
  EXPECT_TRUE(destination.log.has("state_bytes_max is 1048576"));
}

// What the source gave away is what it checked.
TEST_F(DeviceStateTest, TheFrontEndCannotChangeWhatWasSaved) {
  const UniqueFd channel = source.channel(save);
  EXPECT_EQ(::write(channel.get(), "x", 1), -1);
  EXPECT_EQ(::ftruncate(channel.get(), 0), -1);
}

TEST_F(DeviceStateTest, WhatIsWrittenAfterTheCheckIsNotLoaded) {
  source.application.state = blob(10);
  const Blob bytes = source.saved();
  const UniqueFd channel = destination.channel(load);
  write_all(channel.get(), bytes);
  EXPECT_EQ(destination.check(), 0U);
  ASSERT_EQ(::pwrite(channel.get(), "rubbish", 7, 0), 7);
  EXPECT_EQ(destination.check(), 0U);
  EXPECT_EQ(destination.application.loaded.size(), 1U);
}

TEST_F(DeviceStateTest, DirectionAndPhaseAreChecked) {
  EXPECT_TRUE(source.refuses(2));
  EXPECT_TRUE(source.refuses(save, 1));
  EXPECT_TRUE(source.refuses(load, 0xffffffff));
  EXPECT_TRUE(source.log.has("refused: SET_DEVICE_STATE_FD: direction 2, expected 0 to save or 1 to load"));
  EXPECT_TRUE(source.log.has("phase 1, expected 0"));
  EXPECT_NE(source.check(), 0U);
}

TEST_F(DeviceStateTest, ANewTransferTakesThePlaceOfTheOneBefore) {
  source.application.state = blob(10);
  const Blob bytes = source.saved();
  const UniqueFd first = destination.channel(load);
  write_all(first.get(), bytes);
  write_all(destination.channel(load).get(), Blob(5));
  EXPECT_NE(destination.check(), 0U);
  EXPECT_TRUE(destination.application.loaded.empty());
  const UniqueFd loading = source.channel(load);
  EXPECT_EQ(source.saved(), bytes) << "a load that was begun is forgotten";
}

/// A page that a user space thread would have to bring, and does not.
struct AbsentPage {
  AbsentPage() : uffd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))) {
    uffdio_api api{};
    api.api = UFFD_API;
    address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register all{};
    all.range = {reinterpret_cast<std::uintptr_t>(address), bytes};
    all.mode = UFFDIO_REGISTER_MODE_MISSING;
    usable = uffd && ::ioctl(uffd.get(), UFFDIO_API, &api) == 0 && ::ioctl(uffd.get(), UFFDIO_REGISTER, &all) == 0;
  }
  ~AbsentPage() { ::munmap(address, bytes); }
  AbsentPage(const AbsentPage&) = delete;
  AbsentPage& operator=(const AbsentPage&) = delete;

  /// Whether somebody waits for it.
  bool wait() {
    pollfd watched{uffd.get(), POLLIN, 0};
    return ::poll(&watched, 1, 10'000) == 1;
  }
  void bring() {
    uffdio_zeropage zeros{};
    zeros.range = {reinterpret_cast<std::uintptr_t>(address), bytes};
    ASSERT_EQ(::ioctl(uffd.get(), UFFDIO_ZEROPAGE, &zeros), 0);
  }

  static constexpr std::size_t bytes = 4096;
  UniqueFd uffd;
  void* address;
  bool usable;
};

// It holds the locks of what it writes to. A pipe, which any read() of ours would wait for, and what it got from us.
TEST_F(DeviceStateTest, AFrontEndThatNeverEndsItsWriteHoldsUpNobody) {
  AbsentPage page;
  if (!page.usable) GTEST_SKIP() << "no userfaultfd";
  const UniqueFd channel = destination.channel(load);
  const auto stuck = std::async(std::launch::async, [&] { return ::write(channel.get(), page.address, page.bytes); });
  ASSERT_TRUE(page.wait());
  EXPECT_NE(destination.check(), 0U);
  EXPECT_TRUE(destination.log.has("the record of 0 bytes"));
  destination.start_rings();
  page.bring();
}

TEST_F(DeviceStateTest, AFrontEndMayLeaveMeanwhile) {
  const UniqueFd channel = source.channel(load);
  source.machine.front_end().disconnect();
  source.fixture.events.until<FrontEndDisconnected>();
}

TEST_F(DeviceStateTest, ATooLargeStateIsNotSaved) {
  source.application.state = blob((std::size_t{1} << 20) + 1);
  EXPECT_TRUE(source.refuses(save));
  EXPECT_TRUE(source.log.has("save_state returned 1048577 bytes, expected at most 1048576"));
}

TEST_F(DeviceStateTest, CallbacksMayThrowAndRefuse) {
  source.application.at_save = [] { throw std::runtime_error("no firewall"); };
  EXPECT_TRUE(source.refuses(save));
  EXPECT_TRUE(source.log.has("save_state threw: no firewall"));
  source.application.at_save = [] { throw 1; };
  EXPECT_TRUE(source.refuses(save));
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

TEST_F(DeviceStateTest, NothingMovesWhileRingsRun) {
  source.start_rings();
  EXPECT_TRUE(source.refuses(save));
  EXPECT_TRUE(source.log.has("rings run"));
  source.stop_rings();
  source.saved();
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
