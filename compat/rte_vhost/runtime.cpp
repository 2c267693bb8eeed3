// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/runtime.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "compat/rte_vhost/control_thread.hpp"
#include "compat/rte_vhost/say.hpp"

namespace vhostx::compat {

Runtime& Runtime::get() {
  static auto& runtime = *new Runtime;
  return runtime;
}

bool Runtime::add(const std::string& path, std::uint64_t flags) {
  const std::lock_guard guard(drivers_lock_);
  return drivers_.try_emplace(path, std::make_shared<Driver>(path, flags)).second;
}

std::shared_ptr<Driver> Runtime::find(const char* path) {
  if (path == nullptr) return nullptr;
  const std::lock_guard guard(drivers_lock_);
  const auto found = drivers_.find(path);
  return found == drivers_.end() ? nullptr : found->second;
}

Result<void> Runtime::start(Driver& driver) {
  if (auto started = start_thread(); !started) return started;
  return driver.start(*backend_, [this] { wake(); });
}

// The path can be registered again only after its socket is closed.
bool Runtime::remove(const char* path) {
  const auto driver = find(path);
  if (driver == nullptr) return false;
  driver->retire();
  if (!driver->close()) return false;
  const std::lock_guard guard(drivers_lock_);
  return drivers_.erase(driver->path()) != 0;
}

// The Backend is made on the event thread, because its control thread inherits the CPUs: those of no lcore. If it
// cannot be made, the next start tries again.
Result<void> Runtime::start_thread() {
  std::unique_lock lock(thread_lock_);
  if (thread_ == Thread::none) {
    if (const int error = start_control_thread("vhostx-events", thread_main, this); error != 0)
      return Error{ErrorCode::system, std::string("no event thread: ") + std::strerror(error), error};
    thread_ = Thread::starting;
  }
  changed_.wait(lock, [this] { return thread_ != Thread::starting; });
  if (backend_ == nullptr) return backend_error_;
  return {};
}

namespace {

/// An application made for rte_vhost has no option for it.
std::string keeper() {
  const char* const path = std::getenv("VHOSTX_KEEPER");
  return path == nullptr ? std::string() : path;
}

}  // namespace

void Runtime::thread_main(void* self) {
  auto& runtime = *static_cast<Runtime*>(self);
  auto backend =
      Backend::create({.log = say, .log_level = says_all() ? LogLevel::debug : LogLevel::info, .keeper = keeper()});
  const bool made = backend.ok();
  {
    const std::lock_guard guard(runtime.thread_lock_);
    runtime.thread_ = made ? Thread::serving : Thread::none;
    if (made)
      runtime.backend_ = std::move(backend).value();
    else
      runtime.backend_error_ = std::move(backend).error();
  }
  runtime.changed_.notify_all();
  if (made) runtime.serve();
}

void Runtime::serve() {
  constexpr std::chrono::milliseconds pause{100};
  for (;;) {
    {
      std::unique_lock lock(thread_lock_);
      changed_.wait(lock, [this] { return work_; });
      work_ = false;
    }
    if (look_at_all()) continue;
    std::this_thread::sleep_for(pause);
    wake();
  }
}

// False: memory ran out for part of it.
bool Runtime::look_at_all() try {
  bool all = true;
  for (const auto& driver : drivers()) try {
      driver->reconcile();
    } catch (const std::exception&) {
      all = false;
    }
  return all;
} catch (const std::bad_alloc&) {
  return false;
}

void Runtime::wake() {
  {
    const std::lock_guard guard(thread_lock_);
    work_ = true;
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<Driver>> Runtime::drivers() {
  std::vector<std::shared_ptr<Driver>> all;
  const std::lock_guard guard(drivers_lock_);
  all.reserve(drivers_.size());
  for (const auto& [path, driver] : drivers_) all.push_back(driver);
  return all;
}

}  // namespace vhostx::compat
