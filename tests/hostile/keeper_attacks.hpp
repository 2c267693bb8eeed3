// SPDX-License-Identifier: BSD-3-Clause
// A port at a keeper, whose process is killed, and another port beside it that must not notice.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "continuity/session_record.hpp"
#include "tests/backend/traffic.hpp"
#include "tests/continuity/keeper_fixture.hpp"

namespace vhostx::test {

inline constexpr std::uint32_t record_slot = 1;
inline constexpr std::uint32_t counters_slot = 5;
inline constexpr std::uint32_t first_slot = 16;  ///< Of what front-ends send.

inline std::vector<FakeGuest::Region> small_memory() { return {{0x4000'0000, std::size_t{64} << 10}}; }

/// A back-end with one port at a keeper.
class Server {
 public:
  Server(const std::string& keeper, const std::string& socket) {
    BackendOptions options;
    options.keeper = keeper;
    options.keeper_grace = std::chrono::milliseconds(0);
    options.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard guard(lock_);
      (log_ += line) += '\n';
    };
    backend_ = must(Backend::create(options));
    PortOptions port_options;
    port_options.socket_path = socket;
    auto opened = backend_->open_port(port_options, events.handler());
    if (!opened) error = opened.error();
    if (opened) port = std::move(opened).value();
  }
  bool logged(std::string_view text) {
    const std::lock_guard guard(lock_);
    return log_.find(text) != std::string::npos;
  }

  EventLog events;
  Error error;

 private:
  std::mutex lock_;
  std::string log_;
  std::unique_ptr<Backend> backend_;

 public:
  std::unique_ptr<Port> port;  ///< Null: see error.
};

/// A packet each way.
inline void expect_traffic(Server& server, FakeMachine& machine) {
  transmit(machine);
  EXPECT_EQ(take_burst(server.port->from_guest()), 1);
  EXPECT_EQ(machine.ring(1).driver.reap().size(), 1U);
}

/// The records of sessions that this process has descriptors of: a descriptor, by the file's inode number.
inline std::map<ino_t, int> session_records() {
  std::map<ino_t, int> records;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    struct stat facts {};
    const int fd = std::stoi(entry.path().filename());
    if (std::filesystem::read_symlink(entry, gone).string().find("vhostx-session") != std::string::npos &&
        ::fstat(fd, &facts) == 0)
      records.emplace(facts.st_ino, fd);
  }
  return records;
}

/// A front-end has its answer before the record says so, and maybe before the keeper has the record. The keeper of a
/// test is in this process, and its records are; `before` are those of other sessions.
inline void await_no_message_in_work(const std::map<ino_t, int>& before) {
  const continuity::RecordLimits limits{.rings = 2, .regions = PortOptions{}.memory_slots_max};
  const auto is_idle = [&](const auto& entry) {
    if (before.contains(entry.first)) return false;
    const auto record = continuity::SessionRecord::adopt(tools::duplicate(entry.second), limits);
    return record && record->read();
  };
  for (const auto end = std::chrono::steady_clock::now() + patience; !std::ranges::any_of(session_records(), is_idle);
       std::this_thread::yield())
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("no record, or a message is always in work");
}

class KeeperAttacks : public continuity::KeeperTest {
 protected:
  KeeperAttacks()
      : keeper_(options()),
        victim_(path_, folder_.path("victim")),
        victims_guest_(folder_.path("victim"), 2, small_memory()) {
    test_pool();
    victims_guest_.bring_up();
    for (int i = 0; i < 2; ++i) victim_.events.until<VringStarted>();
  }

  /// The port is served by a process that can be killed; `machine_` has started its rings.
  void serve() {
    const auto others = session_records();
    owner_ = std::make_unique<continuity::ChildProcess>([this] { static Server server(path_, socket_); });
    machine_ = std::make_unique<FakeMachine>(socket_, 2, small_memory());
    machine_->bring_up();
    machine_->sync();
    await_no_message_in_work(others);
  }
  void kill() { owner_.reset(); }
  std::unique_ptr<Server> take_over() const { return std::make_unique<Server>(path_, socket_); }
  /// The connection goes on.
  void expect_adopted(Server& server) {
    ASSERT_NE(server.port, nullptr) << server.error.message;
    EXPECT_TRUE(server.events.until<FrontEndConnected>().adopted);
    for (int i = 0; i < 2; ++i) server.events.until<VringStarted>();
    expect_traffic(server, *machine_);
    machine_->sync();
  }
  /// It was closed, and the next front-end is served.
  void expect_closed_and_served(Server& server) {
    ASSERT_NE(server.port, nullptr) << server.error.message;
    EXPECT_TRUE(machine_->front_end().closed_by_peer());
    FakeMachine again(socket_, 2, small_memory());
    again.bring_up();
    while (server.events.until<FrontEndConnected>().adopted) {
    }
    for (int i = 0; i < 2; ++i) server.events.until<VringStarted>();
    expect_traffic(server, again);
  }
  void expect_victim_unharmed() {
    expect_traffic(victim_, victims_guest_);
    victims_guest_.send_fds(0);
    victims_guest_.sync();
    EXPECT_FALSE(victim_.logged("the keeper failed"));
  }
  void TearDown() override { expect_victim_unharmed(); }

  /// What is in the bundle, which is this client's then: as soon as the keeper has seen the end of its owner.
  continuity::Slots claim(continuity::KeeperClient& client) const {
    auto slots = client.claim(socket_, continuity::ClaimHow::stand_by, continuity::generous);
    if (!slots) throw std::runtime_error(slots.error().message);
    return std::move(slots).value();
  }
  void release(continuity::KeeperClient& client) const {
    must(client.release(socket_));
    settle(client);
  }

  continuity::KeeperThread keeper_;
  Server victim_;
  FakeMachine victims_guest_;
  const std::string socket_ = folder_.path("port");
  std::unique_ptr<continuity::ChildProcess> owner_;
  std::unique_ptr<FakeMachine> machine_;
};

}  // namespace vhostx::test
