// SPDX-License-Identifier: BSD-3-Clause
// Processes that keep an application's state (BackendOptions::state), in one.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <vhostx/backend.hpp>

#include "continuity/keeper_service.hpp"
#include "tests/backend/backend_log.hpp"
#include "tests/backend/known_text.hpp"

namespace vhostx::test {

/// What one process knows, and what it hears.
class Knowledge : public KnownText {
 public:
  KeptState state(std::chrono::milliseconds interval) {
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
class KeeperFunction final : public continuity::KeeperService {
 public:
  using Make = std::function<Result<std::unique_ptr<continuity::PortKeeper>>(const std::string& bundle)>;
  explicit KeeperFunction(Make make) : make_(std::move(make)) {}
  Result<std::unique_ptr<continuity::PortKeeper>> open(const std::string& bundle) override { return make_(bundle); }

 private:
  const Make make_;
};

/// A process with a Backend.
struct StateProcess {
  StateProcess(BackendOptions options, std::chrono::milliseconds interval) {
    options.control_thread = ControlThread::application;
    options = log.options(std::move(options));
    options.state = known.state(interval);
    auto created = Backend::create(std::move(options));
    error = created ? Error{} : created.error();
    if (!created) return;
    backend = std::move(created).value();
    go_on();
  }
  ~StateProcess() { end(); }
  StateProcess(const StateProcess&) = delete;
  StateProcess& operator=(const StateProcess&) = delete;

  void go_on() {
    stopped = false;
    thread = std::thread([this] {
      while (!stopped) backend->run_control(std::chrono::milliseconds(1));
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

}  // namespace vhostx::test
