// SPDX-License-Identifier: BSD-3-Clause
// Runtime: exists once in a process, with the drivers by path, vhostx's Backend, and the event thread, which calls the
// application.
//
// Callbacks have a thread of their own, because applications call rte_vhost_driver_start() while they hold locks that
// their callbacks take (Open vSwitch does). A start waits for the control thread, so that must never wait for a
// callback.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <vhostx/backend.hpp>

#include "compat/rte_vhost/driver.hpp"

namespace vhostx::compat {

class Runtime {
 public:
  /// Made by the first call and never destroyed: its threads live as long as the process.
  static Runtime& get();

  /// False: the path has a driver already.
  bool add(const std::string& path, std::uint64_t flags);
  /// Null: there is none.
  std::shared_ptr<Driver> find(const char* path);
  Result<void> start(Driver& driver);
  /// Ends the driver's device, with callbacks on this thread, and closes its socket. False: there is no such driver.
  bool remove(const char* path);

 private:
  Result<void> start_thread();
  static void thread_main(void* self);
  void serve();
  bool look_at_all();
  void wake();
  std::vector<std::shared_ptr<Driver>> drivers();

  std::mutex drivers_lock_;
  std::map<std::string, std::shared_ptr<Driver>> drivers_;

  std::mutex thread_lock_;  // for all members below
  std::condition_variable changed_;
  enum class Thread { none, starting, serving } thread_ = Thread::none;
  bool work_ = false;
  std::unique_ptr<Backend> backend_;
  Error backend_error_;
};

}  // namespace vhostx::compat
