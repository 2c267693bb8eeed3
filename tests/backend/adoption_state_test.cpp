// SPDX-License-Identifier: BSD-3-Clause
// What an application knows of a guest is kept with the guest's connection, and the next back-end has it.
#include <array>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "backend/connection/state_record.hpp"
#include "continuity/state_file.hpp"
#include "tests/backend/adoption_fixture.hpp"
#include "tests/backend/known_text.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using backend::StateRecord;
using continuity::StateFile;
using Bytes = std::vector<std::byte>;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::size_t file_bytes_max = 1 << 19;

/// What the back-ends' application knows of its guest.
class Application : public KnownText {
 public:
  void set(PortOptions& options) {
    options.save_state = [this] { return save(); };
    options.load_state = [this](std::span<const std::byte> bytes) { return load(bytes); };
  }
  void on_event(const PortEvent& event) { hear(event_name(event)); }
  /// Events and loads in their order, since the last call.
  std::string take_seen() {
    const std::lock_guard guard(lock_);
    return std::exchange(heard_, {});
  }
};

struct KeptState : ::testing::Test {
  static constexpr milliseconds often{10};

  KeptState() {
    application.set(c.options);
    c.options.state_interval = often;
    c.options.state_bytes_max = 1000;
    c.also = [this](Port&, const PortEvent& event) { application.on_event(event); };
  }
  /// The first life, whose front-end has started its rings.
  Life& serve() {
    Life& first = c.next();
    connect(first);
    return first;
  }
  void connect(Life& life) {
    machine = std::make_unique<FakeMachine>(c.path());
    machine->bring_up();
    until_started(life);
  }
  /// The next life, which has adopted the connection and serves it.
  Life& go_on(Life& life) {
    EXPECT_TRUE(life.events.until<FrontEndConnected>().adopted);
    until_started(life);
    expect_traffic(life, *machine);
    machine->sync();
    return life;
  }
  Life& ended_and_next() {
    c.lives.front()->end();
    application.take_seen();
    return go_on(c.next());
  }
  Life& killed_and_next() {
    c.lives.front()->die(c.vault);
    application.take_seen();
    return go_on(c.next());
  }
  std::string kept() {
    const auto bytes = must(StateFile::read(c.vault.file(state_slot).get(), file_bytes_max));
    return bytes.empty() ? "" : text_of(*must(StateRecord::parse(bytes)).application);
  }
  void until_kept(const std::string& state) {
    while (kept() != state) std::this_thread::yield();
  }
  bool has_loaded(const std::string& state) {
    return application.take_seen().find("load(" + state + ")") != std::string::npos;
  }
  bool has_loaded_any() { return application.take_seen().find("load(") != std::string::npos; }
  /// The life that came while its state was not good goes on, and says why.
  void expect_refused(const std::string& why) {
    Life& second = killed_and_next();
    EXPECT_NE(second.logged().find("goes on without the application's state that was kept: " + why), std::string::npos)
        << second.logged();
  }

  Application application;
  Continuity c;
  std::unique_ptr<FakeMachine> machine;
};

TEST_F(KeptState, AfterAnEndInOrderItIsThereExactly) {
  c.options.state_interval = milliseconds(0);
  serve();
  EXPECT_EQ(kept(), "") << "before it is needed";
  application.learn("all");
  ended_and_next();
  EXPECT_EQ(application.take_seen().find("connected load(all) features"), 0U);
}

TEST_F(KeptState, AfterAKillItIsThereAsItWasKept) {
  serve();
  application.learn("some");
  until_kept("some");
  killed_and_next();
  EXPECT_TRUE(has_loaded("some"));
  application.learn("more");
  until_kept("more");
  killed_and_next();
  EXPECT_TRUE(has_loaded("more"));
}

TEST_F(KeptState, ASecondKillBeforeAnythingWasKeptLosesNothing) {
  serve();
  application.learn("some");
  until_kept("some");
  c.options.state_interval = hours(1);
  killed_and_next();
  killed_and_next();
  EXPECT_TRUE(has_loaded("some"));
}

TEST_F(KeptState, AnEmptyStateIsOneToo) {
  c.options.state_interval = milliseconds(0);
  serve();
  application.learn("");
  ended_and_next();
  EXPECT_TRUE(has_loaded(""));
}

TEST_F(KeptState, OfAConnectionThatHasEndedNothingIsLeft) {
  serve();
  application.learn("the first guest");
  until_kept("the first guest");
  c.options.state_interval = hours(1);
  Life& second = killed_and_next();
  machine.reset();
  second.events.until<FrontEndDisconnected>();
  EXPECT_FALSE(c.vault.has(state_slot));
  connect(second);
  EXPECT_EQ(kept(), "");
  killed_and_next();
  EXPECT_FALSE(has_loaded_any());
}

TEST_F(KeptState, WhoDoesNotKeepItPassesNoOldOneOn) {
  serve();
  application.learn("some");
  until_kept("some");
  const auto options = std::exchange(c.options, PortOptions{});
  c.options.listen_fd = options.listen_fd;
  c.options.protocol_features_extra = options.protocol_features_extra;
  killed_and_next();
  EXPECT_FALSE(c.vault.has(state_slot));
  c.options = options;
  killed_and_next();
  EXPECT_FALSE(has_loaded_any());
}

TEST_F(KeptState, WhatCannotBeSavedLeavesTheOneBefore) {
  Life& first = serve();
  application.learn("good");
  until_kept("good");
  application.at_save([] { throw std::bad_alloc(); });
  application.until_saved(3);
  EXPECT_EQ(kept(), "good");
  const std::string log = first.logged();
  const auto line = log.find("the application's state could not be kept: save_state threw");
  ASSERT_NE(line, std::string::npos) << log;
  EXPECT_EQ(log.find("could not be kept", line + 50), std::string::npos) << "once";
  application.at_save({});
  application.learn("good again");
  until_kept("good again");
  application.learn(std::string(1001, 'x'));
  first.until_logged("1001 bytes, expected at most 1000 (state_bytes_max)");
  killed_and_next();
  EXPECT_TRUE(has_loaded("good again"));
}

TEST_F(KeptState, WhatTheApplicationRefusesDoesNotEndTheConnection) {
  serve();
  application.learn("some");
  until_kept("some");
  c.options.state_interval = hours(1);
  application.at_load([] { return Result<void>(Error{ErrorCode::invalid_argument, "I do not know it", 0}); });
  expect_refused("the application refused its state: I do not know it");
  application.at_load([]() -> Result<void> { throw std::bad_alloc(); });
  expect_refused("the application refused its state: load_state threw");
  c.options.state_bytes_max = 3;
  expect_refused("the application's state has 4 bytes, expected at most 3 (state_bytes_max)");
}

TEST_F(KeptState, WhatIsNoStateDoesNotEndTheConnection) {
  serve();
  c.options.state_interval = hours(1);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read(ends[0]), write(ends[1]);
  c.vault.forge(state_slot, read.get());
  expect_refused("its file is not sealed against shrinking");
  auto file = must(StateFile::create(file_bytes_max));
  must(file.write(bytes_of("a stranger's words")));
  c.vault.forge(state_slot, file.fd());
  expect_refused("it has 18 bytes, expected 20 or more");
  Bytes damaged = StateRecord{.statistics = {}, .application = bytes_of("some")}.serialize();
  damaged.back() ^= std::byte{1};
  must(file.write(damaged));
  expect_refused("its checksum is wrong");
  c.vault.forge(state_slot, -1);
  killed_and_next();
  EXPECT_FALSE(has_loaded_any());
}

/// Each byte that counts: refused, or it changes nothing.
TEST_F(KeptState, ADamagedByteIsNeverLoaded) {
  serve();
  application.learn("some");
  until_kept("some");
  c.options.state_interval = hours(1);
  const UniqueFd file = c.vault.file(state_slot);
  c.lives.front()->end();
  const std::size_t record_bytes = StateRecord{.statistics = {}, .application = bytes_of("some")}.serialize().size();
  std::vector<off_t> places;
  for (off_t at = 0; at < 16; ++at) places.push_back(at);
  for (std::uint32_t half = 0; half < 2; ++half)
    for (std::size_t at = 0; at < 8 + record_bytes; ++at)
      places.push_back(static_cast<off_t>(4096 + half * ((::lseek(file.get(), 0, SEEK_END) - 4096) / 2)) +
                       static_cast<off_t>(at));
  for (const off_t at : places) {
    SCOPED_TRACE("byte " + std::to_string(at));
    std::uint8_t before = 0;
    ASSERT_EQ(::pread(file.get(), &before, 1, at), 1);
    const auto damaged = static_cast<std::uint8_t>(before ^ 0x81);
    ASSERT_EQ(::pwrite(file.get(), &damaged, 1, at), 1);
    c.vault.forge(state_slot, file.get());
    application.take_seen();
    Life& life = go_on(c.next());
    const std::string seen = application.take_seen();
    if (seen.find("load(") != std::string::npos) {
      EXPECT_NE(seen.find("load(some)"), std::string::npos) << seen;
    }
    life.end();
    c.lives.pop_front();
    ASSERT_EQ(::pwrite(file.get(), &before, 1, at), 1);
    ASSERT_FALSE(HasFailure());
  }
}

/// The application hears of the front-end before its state comes, and may not want it.
TEST_F(KeptState, AHandlerMayEndTheConnectionBeforeItsStateComes) {
  serve();
  application.learn("some");
  until_kept("some");
  c.lives.front()->die(c.vault);
  application.take_seen();
  c.also = [this](Port& port, const PortEvent& event) {
    application.on_event(event);
    const auto* const connected = std::get_if<FrontEndConnected>(&event);
    if (connected != nullptr && connected->adopted) port.disconnect();
  };
  Life& second = c.next();
  second.events.until<FrontEndDisconnected>();
  EXPECT_FALSE(has_loaded_any());
  EXPECT_FALSE(c.vault.has(state_slot));
  connect(second);
}

TEST_F(KeptState, AHandlerMayCloseThePortBeforeItsStateComes) {
  serve();
  application.learn("some");
  until_kept("some");
  c.lives.front()->die(c.vault);
  c.also = [](Port& port, const PortEvent& event) {
    if (std::holds_alternative<FrontEndConnected>(event)) port.close();
  };
  c.next();
  c.also = [this](Port&, const PortEvent& event) { application.on_event(event); };
  application.learn("what the one that closed made up");
  c.lives.front()->end();
  application.take_seen();
  go_on(c.next());
  EXPECT_TRUE(has_loaded("some"));
}

}  // namespace
}  // namespace vhostx::test
