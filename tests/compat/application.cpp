// SPDX-License-Identifier: BSD-3-Clause
#include "tests/compat/application.hpp"

#include <atomic>
#include <stdexcept>

#include "tests/support/eal.hpp"

namespace vhostx::test {
namespace {

std::mutex lock;
std::condition_variable arrived;
std::deque<std::string> calls;
std::function<void(int)> in_callback;
std::string present;  // the callback that is under way, or was last
std::atomic<bool> refusing{false};
std::atomic<bool> calling{false};  // the guest, itself
std::atomic<std::uint64_t> notifications{0};

int keep(int vid, const std::string& call) {
  std::function<void(int)> action;
  {
    const std::lock_guard guard(lock);
    action = in_callback;
    present = call;
  }
  if (action) action(vid);
  {
    const std::lock_guard guard(lock);
    calls.push_back(call);
  }
  arrived.notify_all();
  return 0;
}

std::string with(const char* name, int vid) { return name + (" " + std::to_string(vid)); }

int new_device(int vid) {
  const int answer = refusing ? -1 : 0;  // as it was before the test hears of it
  keep(vid, with("new_device", vid));
  return answer;
}
void destroy_device(int vid) { keep(vid, with("destroy_device", vid)); }
int vring_state_changed(int vid, std::uint16_t queue, int enabled) {
  return keep(vid, "queue " + std::to_string(queue) + (enabled != 0 ? " on" : " off"));
}
int features_changed(int vid, std::uint64_t) { return keep(vid, with("features_changed", vid)); }
int new_connection(int vid) { return keep(vid, with("new_connection", vid)); }
void destroy_connection(int vid) { keep(vid, with("destroy_connection", vid)); }
void guest_notified(int) { ++notifications; }

bool guest_notify(int, std::uint16_t queue) {
  keep(0, "notify queue " + std::to_string(queue));
  return calling;
}

constexpr compat::DeviceOps ops{new_device,     destroy_device,     vring_state_changed, features_changed,
                                new_connection, destroy_connection, guest_notified,      nullptr};
constexpr compat::DeviceOps ops_with_notify{new_device,     destroy_device,     vring_state_changed, features_changed,
                                            new_connection, destroy_connection, guest_notified,      guest_notify};

}  // namespace

Application::Application(std::uint64_t flags) {
  start_eal();
  rest();
  set_in_callback({});
  refusing = false;
  notifications = 0;
  if (rte_vhost_driver_register(path_.c_str(), flags) != 0 ||
      rte_vhost_driver_callback_register(path_.c_str(), &ops) != 0)
    throw std::runtime_error("the path was refused");
}

Application::~Application() { unregister(); }

int Application::start() { return rte_vhost_driver_start(path_.c_str()); }
int Application::unregister() { return rte_vhost_driver_unregister(path_.c_str()); }

std::string Application::next() {
  std::unique_lock guard(lock);
  if (!arrived.wait_for(guard, patience, [] { return !calls.empty(); })) throw std::runtime_error("no callback came");
  std::string first = calls.front();
  calls.pop_front();
  return first;
}

void Application::until(const std::string& call) {
  while (next() != call) {
  }
}

std::string Application::rest() {
  const std::lock_guard guard(lock);
  std::string all;
  for (const auto& call : calls) all += (all.empty() ? "" : ", ") + call;
  calls.clear();
  return all;
}

void Application::set_in_callback(std::function<void(int)> action) {
  const std::lock_guard guard(lock);
  in_callback = std::move(action);
}

bool Application::is_in(const std::string& call) const {
  const std::lock_guard guard(lock);
  return present == call;
}

void Application::ask_before_calls(bool calls_itself) {
  calling = calls_itself;
  rte_vhost_driver_callback_register(path_.c_str(), &ops_with_notify);
}

void Application::refuse_devices(bool refuse) { refusing = refuse; }
std::uint64_t Application::notified() const { return notifications; }

}  // namespace vhostx::test
