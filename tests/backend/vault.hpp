// SPDX-License-Identifier: BSD-3-Clause
// Vault: a keeper's bundle in this process, and lives of a back-end that come to it one after the other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "backend/loop/control_loop.hpp"
#include "base/error.hpp"
#include "continuity/port_keeper.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {

/// What a keeper's process would hold of one port. Any thread.
class Vault {
 public:
  using Slot = continuity::Slot;

  /// One owner's view; useless once another has claimed.
  class View final : public continuity::PortKeeper {
   public:
    explicit View(Vault& vault) : vault_(vault) {}
    Result<Files> claim() override {
      const std::lock_guard guard(vault_.lock_);
      if (vault_.owned_) return make_error(ErrorCode::busy, "process 4711 serves it");
      vault_.owned_ = true;
      owner_ = ++vault_.owner_;
      Files files;
      for (const auto& [slot, fd] : vault_.files_) files[slot] = tools::duplicate(fd.get());
      return files;
    }
    Result<void> hold(Slot slot, int fd) override {
      return act([&] { vault_.files_[slot] = tools::duplicate(fd); });
    }
    Result<void> drop(Slot slot) override {
      return act([&] { vault_.files_.erase(slot); });
    }
    Result<void> park(std::chrono::milliseconds grace) override {
      return act([&] {
        vault_.grace_ = grace;
        vault_.owned_ = false;
      });
    }

   private:
    template <typename Action>
    Result<void> act(Action action) {
      const std::lock_guard guard(vault_.lock_);
      if (vault_.broken_ || owner_ != vault_.owner_ || !vault_.owned_)
        return make_error(ErrorCode::closed, "the keeper closed the connection");
      action();
      return {};
    }

    Vault& vault_;
    unsigned owner_ = 0;
  };

  /// The owner's process has ended: the kernel has closed its connection to the keeper.
  void owner_died() {
    const std::lock_guard guard(lock_);
    owned_ = false;
  }
  void break_down() {
    const std::lock_guard guard(lock_);
    broken_ = true;
    files_.clear();
  }
  std::size_t size() {
    const std::lock_guard guard(lock_);
    return files_.size();
  }
  bool has(Slot slot) {
    const std::lock_guard guard(lock_);
    return files_.contains(slot);
  }
  /// Replaces or removes (fd < 0) what is in a slot.
  void forge(Slot slot, int fd) {
    const std::lock_guard guard(lock_);
    files_.erase(slot);
    if (fd >= 0) files_[slot] = tools::duplicate(fd);
  }
  UniqueFd file(Slot slot) {
    const std::lock_guard guard(lock_);
    return tools::duplicate(files_.at(slot).get());
  }
  std::chrono::milliseconds grace() const { return grace_; }

 private:
  std::mutex lock_;
  std::map<Slot, UniqueFd> files_;
  bool owned_ = false;
  bool broken_ = false;
  unsigned owner_ = 0;
  std::chrono::milliseconds grace_{-1};
};

/// A back-end from its start to its end or death. Of a process that is killed nothing runs any more, and all that it
/// had stays as it is: die() does that to a control thread. What was alive must not use the connection again, so
/// destroy it after its successors.
class Life {
 public:
  /// `also` gets each event, too, on the control thread.
  explicit Life(Vault& vault, const PortOptions& options, BackendOptions backend_options = {}, EventHandler also = {})
      : Life(
            [&vault](const std::string&) -> Result<std::unique_ptr<continuity::PortKeeper>> {
              return std::unique_ptr<continuity::PortKeeper>(std::make_unique<Vault::View>(vault));
            },
            options, std::move(backend_options), std::move(also)) {}
  Life(backend::ControlLoop::KeeperMaker keepers, const PortOptions& options, BackendOptions backend_options,
       EventHandler also = {}) {
    backend_options.control_thread = ControlThread::application;
    if (!backend_options.log) backend_options.log = log_.sink();
    auto loop = must(backend::ControlLoop::create(backend_options));
    loop->set_keepers(std::move(keepers));
    backend_ = std::make_unique<Backend>(std::move(loop));
    auto opened = backend_->open_port(options, [this, also = std::move(also)](Port& source, const PortEvent& event) {
      events.add(event);
      if (also) also(source, event);
      if (on_event) on_event(event);
    });
    error = opened ? Error{} : opened.error();
    if (opened) port = std::move(opened).value();
    go_on();
  }
  ~Life() { end(); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  /// As by SIGKILL, between two handlers.
  void die(Vault& vault) {
    stop();
    vault.owner_died();
  }
  /// What is done here ends: nothing runs any more.
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// After stop().
  void go_on() {
    stop_ = false;
    thread_ = std::thread([this] {
      while (!stop_) backend_->run_control(std::chrono::milliseconds(1));  // so long an end may take
    });
  }
  /// In order.
  void end() {
    stop();
    port.reset();
    backend_.reset();
  }
  /// As Backend::take_over(): on no other thread than that which runs the control side.
  void take_over() {
    stop();
    backend_->take_over();
    go_on();
  }
  std::string logged() { return log_.copy(); }
  /// Returns once it has logged these words.
  void until_logged(const std::string& words) { log_.until(words); }

  EventLog events;
  std::unique_ptr<Port> port;  ///< Null: see error.
  Error error;
  std::function<void(const PortEvent&)> on_event;  ///< Set it after stop().

 private:
  class Text {
   public:
    LogSink sink() {
      return [this](LogLevel, std::string_view line) {
        const std::lock_guard guard(lock_);
        (text_ += line) += '\n';
        came_.notify_all();
      };
    }
    void until(const std::string& words) {
      std::unique_lock guard(lock_);
      const auto there = [&] { return text_.find(words) != std::string::npos; };
      if (!came_.wait_for(guard, patience, there))
        throw std::runtime_error("not logged: '" + words + "', but:\n" + text_);
    }
    std::string copy() {
      const std::lock_guard guard(lock_);
      return text_;
    }

   private:
    std::mutex lock_;
    std::condition_variable came_;
    std::string text_;
  };

  Text log_;
  std::unique_ptr<Backend> backend_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

inline void until_started(Life& life, int rings = 2) {
  for (int i = 0; i < rings; ++i) life.events.until<VringStarted>();
}

/// A packet each way through this life's port.
inline void expect_traffic(Life& life, FakeMachine& machine) {
  transmit(machine);
  EXPECT_EQ(take_burst(life.port->from_guest(0)), 1);
  machine.ring(0).driver.chain().writable(2000).publish();
  EXPECT_EQ(deliver(*life.port), 1);
  EXPECT_EQ(machine.ring(0).driver.reap().size(), 1U);
  EXPECT_EQ(machine.ring(1).driver.reap().size(), 1U);
}

}  // namespace vhostx::test
