// SPDX-License-Identifier: BSD-3-Clause
// What an application knows of no port is kept for the next process (BackendOptions::state).
#include <array>
#include <atomic>
#include <fcntl.h>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "backend/connection/state_record.hpp"
#include "continuity/keeper_service.hpp"
#include "continuity/kept_bundle.hpp"
#include "continuity/state_file.hpp"
#include "tests/backend/backend_log.hpp"
#include "tests/backend/known_text.hpp"
#include "tests/backend/vault.hpp"
#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::test {
namespace {

using backend::StateRecord;
using continuity::KeeperEvent;
using continuity::KeeperService;
using continuity::KeeperThread;
using continuity::PortKeeper;
using continuity::StateFile;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr continuity::Slot kept_slot = 6;
constexpr std::size_t room = 1 << 19;  // of a state's file

/// What one process knows, and what it hears.
class Knowledge : public KnownText {
 public:
  KeptState state(milliseconds interval) {
    return {.name = "table",
            .save = [this] { return save(); },
            .load = [this](std::span<const std::byte> bytes) { return load(bytes); },
            .bytes_max = 1000,
            .interval = interval,
            .on_ownership = [this](const OwnershipChanged& changed) { hear(to_string(changed.ownership)); }};
  }
  /// Loads and changes of ownership in their order; those of `expected`, once as many have come.
  std::string heard() {
    const std::lock_guard guard(lock_);
    return heard_;
  }
  void until_heard(const std::string& expected) {
    std::unique_lock guard(lock_);
    came_.wait_for(guard, patience, [&] { return heard_.size() >= expected.size(); });
    EXPECT_EQ(heard_, expected);
  }
};

/// Keepers, made by a function.
class Service final : public KeeperService {
 public:
  using Make = std::function<Result<std::unique_ptr<PortKeeper>>(const std::string& bundle)>;
  explicit Service(Make make) : make_(std::move(make)) {}
  Result<std::unique_ptr<PortKeeper>> open(const std::string& bundle) override { return make_(bundle); }

 private:
  const Make make_;
};

/// A process with a Backend.
struct Process {
  Process(BackendOptions options, milliseconds interval) {
    options.control_thread = ControlThread::application;
    options = log.options(std::move(options));
    options.state = known.state(interval);
    auto created = Backend::create(std::move(options));
    error = created ? Error{} : created.error();
    if (!created) return;
    backend = std::move(created).value();
    go_on();
  }
  ~Process() { end(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void go_on() {
    stopped = false;
    thread = std::thread([this] {
      while (!stopped) backend->run_control(milliseconds(1));
    });
  }
  /// Nothing runs any more, and all stays as it is: what SIGKILL does.
  void stop() {
    stopped = true;
    if (thread.joinable()) thread.join();
  }
  void end() {
    stop();
    port.reset();
    backend.reset();
  }

  Knowledge known;
  BackendLog log{LogLevel::info};
  Error error;
  std::atomic<bool> stopped{false};
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Port> port;
  std::thread thread;
};

/// One process after the other; the keeper is in this one.
struct BackendState : ::testing::Test {
  static constexpr milliseconds often{10};

  BackendState() {
    options.keeper_service = std::make_shared<Service>([this](const std::string& name) {
      bundle = name;
      return Result<std::unique_ptr<PortKeeper>>(std::make_unique<Vault::View>(vault));
    });
  }
  Process& next(milliseconds interval = often) {
    processes.push_front(std::make_unique<Process>(options, interval));
    EXPECT_NE(processes.front()->backend, nullptr) << processes.front()->error.message;
    return *processes.front();
  }
  Process& killed_and_next(milliseconds interval = often) {
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
    Process& second = killed_and_next(hours(1));
    EXPECT_EQ(second.known.heard(), heard);
    EXPECT_TRUE(
        second.log.has("state 'table': the application goes on without the application's state that was kept: " + why))
        << second.log.lines();
  }

  BackendOptions options;
  Vault vault;
  std::string bundle;
  std::list<std::unique_ptr<Process>> processes;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(BackendState, AfterAnEndInOrderItIsThereExactlyBeforeCreateReturns) {
  Process& first = next(milliseconds(0));
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
  Process& first = next(milliseconds(0));
  first.known.learn("");
  first.end();
  EXPECT_EQ(next().known.heard(), "load() ");
}

TEST_F(BackendState, WithoutGraceNothingIsSavedAtTheEnd) {
  options.keeper_grace = milliseconds(0);
  Process& first = next(milliseconds(0));
  first.end();
  EXPECT_EQ(first.known.saves(), 0U);
  EXPECT_EQ(vault.grace(), milliseconds(0));
}

TEST_F(BackendState, WithoutAKeeperNothingIsCalled) {
  options.keeper_service = nullptr;
  Process& first = next();
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
  Process& first = *processes.front();
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

/// Two processes, at a real keeper.
struct StateHandOver : ::testing::Test {
  StateHandOver() { start_keeper(); }
  void start_keeper() {
    keeper = std::make_unique<KeeperThread>(continuity::KeeperOptions{
        .path = folder.path("keeper"), .grace = continuity::generous, .limits = {}, .on_event = {}});
  }
  struct AtKeeper {
    AtKeeper(const std::string& keeper, KeeperClaim claim, milliseconds interval = milliseconds(0))
        : process({.keeper_claim = claim, .keeper_service = std::make_shared<Service>([this, keeper](auto& bundle) {
                                            auto made = continuity::KeptBundle::connect(keeper, bundle);
                                            if (made) connections[bundle] = (*made)->event_fd();
                                            return made;
                                          })},
                  interval) {}
    void die() {
      process.stop();
      for (const auto& [bundle, connection] : connections) ::shutdown(connection, SHUT_RDWR);
    }
    std::map<std::string, int> connections;  // the latest; before process, whose constructor sets them
    Process process;
  };
  AtKeeper& start(KeeperClaim claim, milliseconds interval = milliseconds(0)) {
    lives.push_front(std::make_unique<AtKeeper>(folder.path("keeper"), claim, interval));
    EXPECT_NE(lives.front()->process.backend, nullptr) << lives.front()->process.error.message;
    return *lives.front();
  }
  AtKeeper& start_with(const std::string& text) {
    AtKeeper& first = start(KeeperClaim::if_free);
    first.process.known.learn(text);
    return first;
  }
  void open_port(AtKeeper& at) {
    at.process.stop();
    at.process.port = must(at.process.backend->open_port({.socket_path = folder.path("port")}));
    at.process.go_on();
  }

  /// Returns once the owner has filled the keeper.
  void until_filled() {
    auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
    const auto filled = [&] {
      const auto bundles = must(client.list());
      return !bundles.empty() && !bundles.front().slots.empty();
    };
    while (!filled()) std::this_thread::yield();
  }

  TemporaryFolder folder;
  std::unique_ptr<KeeperThread> keeper;
  std::list<std::unique_ptr<AtKeeper>> lives;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(StateHandOver, WhoTakesOverGetsTheLastBytesOnce) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  EXPECT_EQ(old.process.known.saves(), 1U) << "right before it yielded";
  old.process.end();
  EXPECT_EQ(old.process.known.saves(), 1U) << "it is the other's";
  fresh.process.known.learn("newer");
  fresh.process.end();
  EXPECT_EQ(start(KeeperClaim::take_over).process.known.heard(), "load(newer) ") << "nobody has to wait";
}

TEST_F(StateHandOver, WhoStandsByMayAskLater) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::stand_by);
  fresh.process.known.until_heard("standing_by ");
  fresh.process.stop();
  fresh.process.backend->take_over();
  fresh.process.go_on();
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
}

TEST_F(StateHandOver, IfTheNewProcessDiesTheOldOneHasItAgain) {
  AtKeeper& old = start_with("last");
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  fresh.die();
  old.process.known.until_heard("yielding standing_by load(last) serving ");
  old.process.known.learn("once more");
  AtKeeper& third = start(KeeperClaim::take_over);
  third.process.known.until_heard("standing_by load(once more) serving ");
}

TEST_F(StateHandOver, ItIsHandedOverForGoodWithAPort) {
  AtKeeper& old = start_with("last");
  open_port(old);
  AtKeeper& fresh = start(KeeperClaim::take_over);
  fresh.process.known.until_heard("standing_by load(last) serving ");
  old.process.known.until_heard("yielding standing_by ");
  open_port(fresh);
  while (fresh.process.port->info().standing_by) std::this_thread::yield();
  fresh.process.stop();
  fresh.process.port->confirm_take_over();
  fresh.process.go_on();
  old.process.known.until_heard("yielding standing_by handed_over ");
  fresh.die();
  AtKeeper& third = start(KeeperClaim::if_free);
  EXPECT_EQ(third.process.known.heard(), "load(last) ") << "the old one waits no more";
}

TEST_F(StateHandOver, WhoStandsByHasItAfterAKill) {
  AtKeeper& first = start_with("never kept");
  AtKeeper& second = start(KeeperClaim::stand_by);
  second.process.known.until_heard("standing_by ");
  first.die();
  second.process.known.until_heard("standing_by serving ");
  second.process.known.learn("kept");
  AtKeeper& third = start(KeeperClaim::stand_by);
  second.process.end();
  third.process.known.until_heard("standing_by load(kept) serving ");
}

TEST_F(StateHandOver, WithoutAClaimThatWaitsTheOwnerIsNamed) {
  start_with("mine");
  AtKeeper second(folder.path("keeper"), KeeperClaim::if_free);
  EXPECT_EQ(second.process.error.code, ErrorCode::busy);
  EXPECT_EQ(second.process.error.message.find("state 'table': "), 0U) << second.process.error.message;
  EXPECT_NE(second.process.error.message.find("belongs to this process"), std::string::npos);
}

TEST_F(StateHandOver, WithoutItsKeeperThereIsNoBackend) {
  keeper->stop();
  AtKeeper first(folder.path("keeper"), KeeperClaim::if_free);
  EXPECT_EQ(first.process.error.code, ErrorCode::system) << first.process.error.message;
}

TEST_F(StateHandOver, ANewKeeperIsFilledAgain) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free);  // which has kept nothing of its own yet
  keeper->stop();
  start_keeper();
  keeper->wait_for(KeeperEvent::Kind::claimed);
  first.process.stop();  // after it has filled the keeper, in the same handler
  first.die();
  AtKeeper& second = start(KeeperClaim::if_free);
  EXPECT_EQ(second.process.known.heard(), "load(old) ");
  EXPECT_TRUE(first.process.log.has("the keeper failed, and the state goes on without it"))
      << first.process.log.lines();
}

TEST_F(StateHandOver, WhatWasSavedWithoutAKeeperIsAtTheNextOne) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free, milliseconds(10));
  Knowledge& known = first.process.known;
  known.at_save([] { throw std::runtime_error("not yet"); });  // so that its first file comes without a keeper
  keeper->stop();
  EXPECT_TRUE(first.process.log.wait_for("the keeper failed"));
  known.at_save({});
  known.learn("newer");
  known.until_saved(2);
  start_keeper();
  keeper->wait_for(KeeperEvent::Kind::claimed);
  first.die();
  EXPECT_EQ(start(KeeperClaim::if_free).process.known.heard(), "load(newer) ");
}

TEST_F(StateHandOver, WhatElseIsInTheBundleIsDropped) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd one(ends[0]), other(ends[1]);
  {
    auto stranger = must(continuity::KeeperClient::connect(folder.path("keeper")));
    must(stranger.claim("@table", continuity::ClaimHow::now));
    for (const std::uint32_t slot : {0U, 6U, 9U}) must(stranger.hold("@table", slot, one.get()));
    must(stranger.park("@table", continuity::generous));
  }
  AtKeeper& first = start(KeeperClaim::stand_by);
  EXPECT_TRUE(first.process.log.wait_for("its file is not sealed against shrinking"));
  EXPECT_EQ(first.process.known.heard().find("load"), std::string::npos);
  auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
  while (must(client.list()).front().slots != std::vector<std::uint32_t>{6}) std::this_thread::yield();
}

TEST_F(StateHandOver, AConfirmationCountsAlsoIfTheStateComesAfterIt) {
  AtKeeper& old = start_with("last");
  open_port(old);
  AtKeeper& fresh = start(KeeperClaim::stand_by);
  open_port(fresh);
  old.process.stop();
  old.process.port.reset();
  old.process.go_on();
  while (fresh.process.port->info().standing_by) std::this_thread::yield();
  fresh.process.stop();
  fresh.process.port->confirm_take_over();
  fresh.process.backend->take_over();
  fresh.process.go_on();
  old.process.known.until_heard("yielding standing_by handed_over ");
  fresh.process.known.until_heard("standing_by load(last) serving ");
}

/// What is not there yet is no reason to go on without it.
TEST_F(StateHandOver, ANewKeeperIsFilledAlsoWhereWhoWaitsFindsItFirst) {
  start_with("old").process.end();
  AtKeeper& first = start(KeeperClaim::if_free);
  AtKeeper& second = start(KeeperClaim::stand_by);
  first.process.stop();
  keeper->stop();
  start_keeper();
  EXPECT_TRUE(second.process.log.wait_for("another process may serve the state, and this one waits for it"));
  first.process.go_on();
  until_filled();
  first.die();
  second.process.known.until_heard("standing_by load(old) serving ");
}

TEST_F(StateHandOver, WhoWaitsFindsANewKeeperToo) {
  AtKeeper& first = start_with("last");
  AtKeeper& second = start(KeeperClaim::stand_by);
  keeper->stop();
  start_keeper();
  until_filled();
  first.process.end();
  second.process.known.until_heard("standing_by load(last) serving ");
}

/// Its name may be that of a port.
TEST_F(StateHandOver, ItIsNoPort) {
  Knowledge known;
  known.learn("all");
  BackendOptions options{.keeper = folder.path("keeper")};
  options.state = known.state(milliseconds(0));
  options.state.name = folder.path("port");
  {
    const auto backend = must(Backend::create(options));
    const auto port = must(backend->open_port({.socket_path = folder.path("port")}));
    auto client = must(continuity::KeeperClient::connect(folder.path("keeper")));
    const auto bundles = must(client.list());
    ASSERT_EQ(bundles.size(), 2U);
    EXPECT_EQ(bundles[0].name, folder.path("port"));
    EXPECT_EQ(bundles[1].name, "@" + folder.path("port"));
    const auto refused = backend->open_port({.socket_path = "@" + folder.path("port")});
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  const auto again = must(Backend::create(options));
  EXPECT_EQ(known.heard(), "load(all) ");
}

}  // namespace
}  // namespace vhostx::test
