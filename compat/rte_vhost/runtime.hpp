// SPDX-License-Identifier: BSD-3-Clause
// Runtime: what this library has once in a process: the drivers by path, vhostx's Backend, and the event thread, on
// which the application is called.
//
// Two threads, because the application calls rte_vhost_driver_start() while it holds locks that its callbacks take
// (Open vSwitch does): the control thread, which a start waits for, must never wait for a callback.
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
  /// Made by the first call, never destroyed: its threads live as long as the process.
  static Runtime& get();

  /// False: there is a driver of this path.
  bool add(const std::string& path, std::uint64_t flags);
  /// Null: there is none.
  std::shared_ptr<Driver> find(const char* path);
  Result<void> start(Driver& driver);
  /// Ends its device, with the callbacks on this thread, and its socket. False: there is no such driver.
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

  std::mutex thread_lock_;  // all below
  std::condition_variable changed_;
  enum class Thread { none, starting, serving } thread_ = Thread::none;
  bool work_ = false;
  std::unique_ptr<Backend> backend_;
  Error backend_error_;
};

}  // namespace vhostx::compat
