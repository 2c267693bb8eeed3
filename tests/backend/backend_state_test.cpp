// SPDX-License-Identifier: BSD-3-Clause
// What an application knows of no port is kept for the next process (BackendOptions::state).
#include <array>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "backend/connection/state_record.hpp"
#include "continuity/state_file.hpp"
#include "tests/backend/state_process.hpp"
#include "tests/backend/vault.hpp"

namespace vhostx::test {
namespace {

using backend::StateRecord;
using continuity::PortKeeper;
using continuity::StateFile;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr continuity::Slot kept_slot = 6;
constexpr std::size_t room = 1 << 19;  // of a state's file

/// One process after the other; the keeper is in this one.
struct BackendState : ::testing::Test {
  static constexpr milliseconds often{10};

  BackendState() {
    options.keeper_service = std::make_shared<KeeperFunction>([this](const std::string& name) {
      bundle = name;
      return Result<std::unique_ptr<PortKeeper>>(std::make_unique<Vault::View>(vault));
    });
  }
  StateProcess& next(milliseconds interval = often) {
    processes.push_front(std::make_unique<StateProcess>(options, interval));
    EXPECT_NE(processes.front()->backend, nullptr) << processes.front()->error.message;
    return *processes.front();
  }
  StateProcess& killed_and_next(milliseconds interval = often) {
    processes.front()->stop();
    vault.owner_died();
    return next(interval);
  }
  std::string kept() {
    if (!vault.has(kept_slot)) return {};
    const auto bytes = must(StateFile::read(vault.file(kept_slot).get(), room));
    return bytes.empty() ? "" : text_of(*must(StateRecord::parse(bytes)).application);
  }
  void until_kept(const std::string& text) {
    while (kept() != text) std::this_thread::yield();
  }
  /// A process that left `text`, and was killed.
  void leave(const std::string& text) {
    next().known.learn(text);
    until_kept(text);
  }
  /// The one that came while what was left is not good goes on, and says why.
  void expect_refused(const std::string& why, const std::string& heard = "") {
    StateProcess& second = killed_and_next(hours(1));
    EXPECT_EQ(second.known.heard(), heard);
    EXPECT_TRUE(
        second.log.has("state 'table': the application goes on without the application's state that was kept: " + why))
        << second.log.lines();
  }

  BackendOptions options;
  Vault vault;
  std::string bundle;
  std::list<std::unique_ptr<StateProcess>> processes;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(BackendState, AfterAnEndInOrderItIsThereExactlyBeforeCreateReturns) {
  StateProcess& first = next(milliseconds(0));
  EXPECT_EQ(bundle, "@table");
  EXPECT_EQ(kept(), "") << "before it is needed";
  first.known.learn("all");
  first.end();
  EXPECT_EQ(vault.grace(), options.keeper_grace);
  EXPECT_EQ(first.known.saves(), 1U);
  EXPECT_EQ(next().known.heard(), "load(all) ");
}

/// With a control thread of the library's own, too.
TEST_F(BackendState, OfTheLibrarysThread) {
  Knowledge one, other;
  one.learn("all");
  options.state = one.state(milliseconds(0));
  must(Backend::create(options));
  options.state = other.state(milliseconds(0));
  const auto second = must(Backend::create(options));
  EXPECT_EQ(other.heard(), "load(all) ");
}

TEST_F(BackendState, AfterAKillItIsThereAsItWasKept) {
  leave("some");
  EXPECT_EQ(killed_and_next().known.heard(), "load(some) ");
  processes.front()->known.learn("more");
  until_kept("more");
  EXPECT_EQ(killed_and_next(hours(1)).known.heard(), "load(more) ");
  EXPECT_EQ(killed_and_next().known.heard(), "load(more) ") << "killed before it had kept anything";
}

TEST_F(BackendState, AnEmptyOneIsOneToo) {
  StateProcess& first = next(milliseconds(0));
  first.known.learn("");
  first.end();
  EXPECT_EQ(next().known.heard(), "load() ");
}

TEST_F(BackendState, WithoutGraceNothingIsSavedAtTheEnd) {
  options.keeper_grace = milliseconds(0);
  StateProcess& first = next(milliseconds(0));
  first.end();
  EXPECT_EQ(first.known.saves(), 0U);
  EXPECT_EQ(vault.grace(), milliseconds(0));
}

TEST_F(BackendState, WithoutAKeeperNothingIsCalled) {
  options.keeper_service = nullptr;
  StateProcess& first = next();
  first.end();
  EXPECT_EQ(first.known.saves(), 0U);
}

TEST_F(BackendState, WithoutANameThereIsNoBundle) {
  processes.clear();
  const auto backend = must(Backend::create(options));
  EXPECT_EQ(bundle, "");
}

TEST_F(BackendState, WhatCannotBeSavedLeavesTheOneBefore) {
  leave("good");
  StateProcess& first = *processes.front();
  first.known.at_save([] { throw std::bad_alloc(); });
  first.known.until_saved(3);
  EXPECT_EQ(kept(), "good");
  EXPECT_EQ(first.log.count("the application's state could not be kept: save_state threw"), 1U) << first.log.lines();
  first.known.at_save({});
  first.known.learn("good again");
  until_kept("good again");
  first.known.learn(std::string(1001, 'x'));
  EXPECT_TRUE(first.log.wait_for("1001 bytes, expected at most 1000 (state_bytes_max)"));
  EXPECT_EQ(killed_and_next().known.heard(), "load(good again) ");
}

TEST_F(BackendState, WhatTheApplicationRefusesEndsNothing) {
  leave("some");
  processes.front()->stop();
  vault.owner_died();
  const auto expect_said = [&](const std::function<Result<void>()>& at_load, const std::string& line) {
    Knowledge known;
    BackendLog log;
    known.at_load(at_load);
    auto refusing = log.options(options);
    refusing.state = known.state(milliseconds(0));
    {
      const auto backend = must(Backend::create(refusing));
      EXPECT_EQ(known.heard(), "load(some) ");
      EXPECT_TRUE(log.has(line)) << log.lines();
      known.learn("some");
    }
  };
  expect_said(
      [] {
        return Result<void>(Error{ErrorCode::invalid_argument, "I do not know it", 0});
      },
      "the application refused its state: I do not know it");
  expect_said([]() -> Result<void> { throw std::bad_alloc(); }, "the application refused its state: load_state threw");
}

TEST_F(BackendState, WhatIsNoStateIsNeverLoaded) {
  leave("some");
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read(ends[0]), write(ends[1]);
  vault.forge(kept_slot, read.get());
  expect_refused("its file is not sealed against shrinking");
  auto file = must(StateFile::create(room));
  must(file.write(bytes_of("a stranger's words")));
  vault.forge(kept_slot, file.fd());
  expect_refused("it has 18 bytes, expected 20 or more");
  auto record = StateRecord{.statistics = {}, .application = bytes_of("some")}.serialize();
  record[8] = std::byte{2};
  must(file.write(record));
  expect_refused("it is of version 2, expected 1");
  must(file.write(StateRecord{.statistics = {}, .application = bytes_of(std::string(1001, 'x'))}.serialize()));
  expect_refused("the application's state has 1001 bytes, expected at most 1000 (state_bytes_max)");
  must(file.write(bytes_of(std::string(StateRecord::overhead_max + 1001, 'x'))));
  expect_refused("it has 263145 bytes, expected at most 263144");
  vault.forge(kept_slot, -1);
  EXPECT_EQ(killed_and_next().known.heard(), "");
}

/// Each byte of the file that counts: refused, or it changes nothing.
TEST_F(BackendState, ADamagedByteIsNeverLoaded) {
  leave("some");
  processes.clear();
  const UniqueFd file = vault.file(kept_slot);
  const auto bytes = must(StateFile::read(file.get(), room)).size();
  const off_t half = (::lseek(file.get(), 0, SEEK_END) - 4096) / 2;
  std::vector<off_t> places;
  for (off_t at = 0; at < 16; ++at) places.push_back(at);
  for (const off_t begin : {off_t{4096}, 4096 + half})
    for (std::size_t at = 0; at < 8 + bytes; ++at) places.push_back(begin + static_cast<off_t>(at));
  for (const off_t at : places) {
    SCOPED_TRACE("byte " + std::to_string(at));
    std::uint8_t before = 0;
    ASSERT_EQ(::pread(file.get(), &before, 1, at), 1);
    const auto damaged = static_cast<std::uint8_t>(before ^ 0x81);
    ASSERT_EQ(::pwrite(file.get(), &damaged, 1, at), 1);
    vault.forge(kept_slot, file.get());
    const std::string heard = next(hours(1)).known.heard();
    EXPECT_TRUE(heard.empty() || heard == "load(some) ") << heard;
    processes.clear();
    ASSERT_EQ(::pwrite(file.get(), &before, 1, at), 1);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(BackendState, WhatIsNotWholeIsAnInvalidOption) {
  const auto refused = [&](const std::function<void(KeptState&)>& change) {
    Knowledge known;
    BackendOptions wrong = options;
    wrong.state = known.state(often);
    change(wrong.state);
    const auto created = Backend::create(std::move(wrong));
    EXPECT_FALSE(created);
    EXPECT_TRUE(created || created.error().code == ErrorCode::invalid_argument);
    return created ? std::string() : created.error().message;
  };
  EXPECT_EQ(refused([](KeptState& state) { state.name = std::string(101, 'n'); }),
            "the state's name has 101 bytes, expected at most 100 without a zero byte");
  EXPECT_EQ(refused([](KeptState& state) { state.name = std::string("a\0b", 3); }),
            "the state's name has 3 bytes, expected at most 100 without a zero byte");
  EXPECT_EQ(refused([](KeptState& state) { state.name = ""; }),
            "save_state and load_state are set, and the state has no name: expected all three, or none");
  EXPECT_EQ(refused([](KeptState& state) { state.save = {}, state.load = {}; }),
            "the state's name is 'table', without save_state and load_state: expected all three, or none");
  EXPECT_EQ(refused([](KeptState& state) { state.load = {}; }),
            "save_state is set without load_state: expected both, or none");
  EXPECT_NE(refused([](KeptState& state) { state.bytes_max = (16U << 20) + 1; }).find("state_bytes_max is 16777217"),
            std::string::npos);
  EXPECT_NE(refused([](KeptState& state) { state.interval = milliseconds(9); }).find("state_interval is 9 ms"),
            std::string::npos);
  EXPECT_EQ(bundle, "") << "nothing was claimed";
}

}  // namespace
}  // namespace vhostx::test
