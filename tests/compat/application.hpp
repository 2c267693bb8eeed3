// SPDX-License-Identifier: BSD-3-Clause
// An application of the vhost library's interface: registers a path, and keeps what it is told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "compat/rte_vhost/abi.hpp"
#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {

/// One at a time: the callbacks of the interface have no context.
class Application {
 public:
  explicit Application(std::uint64_t flags = 0);
  ~Application();
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  const std::string& path() const { return path_; }
  int start();
  /// -1 if it is not registered any more.
  int unregister();

  /// The next callback, e.g. "new_device 0", "queue 1 on"; fails the test when there is none in time.
  std::string next();
  /// Takes callbacks up to this one.
  void until(const std::string& call);
  /// What was not taken, in one line.
  std::string rest();
  /// Runs in each callback, before it is kept.
  void set_in_callback(std::function<void(int vid)> action);
  /// For that action: which callback it is in.
  bool is_in(const std::string& call) const;
  void refuse_devices(bool refuse);
  /// Has a guest_notify, which says "notify queue N" and answers this. Before start().
  void ask_before_calls(bool calls_itself);
  std::uint64_t notified() const;

 private:
  TemporaryFolder folder_;
  std::string path_ = folder_.path("vhost");
};

}  // namespace vhostx::test
