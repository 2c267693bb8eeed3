// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/driver.hpp"

#include <functional>
#include <new>
#include <unistd.h>
#include <utility>

#include "compat/rte_vhost/say.hpp"

namespace vhostx::compat {
namespace {

constexpr std::uint64_t protocol_status = std::uint64_t{1} << 16;  // VHOST_USER_PROTOCOL_F_STATUS
constexpr std::uint8_t driver_ok = 4;                              // VIRTIO 1.2, 2.1

// DPDK 22.11 offers VIRTIO_F_IN_ORDER too, and its applications return buffers in order. Other features that vhostx
// offers on request (UDP segments, VIRTIO_F_RING_RESET) are newer: only a program that asks for them gets them.
constexpr std::uint64_t feature_in_order = std::uint64_t{1} << 35;

void say_call(const std::string& path, const char* call, int vid) noexcept try {
  if (says_all()) say(LogLevel::debug, path + ": " + call + ", vid " + std::to_string(vid));
} catch (const std::bad_alloc&) {  // only the log line is lost
}

void say_queue(const std::string& path, int vid, std::uint16_t index, bool enabled) noexcept try {
  if (says_all())
    say(LogLevel::debug, path + ": vring_state_changed, vid " + std::to_string(vid) + ", queue " +
                             std::to_string(index) + (enabled ? " on" : " off"));
} catch (const std::bad_alloc&) {
}

/// Those of `features` that a port can offer. Others are ignored: no driver could negotiate them.
std::uint64_t possible(std::uint64_t features) noexcept {
  PortOptions options;
  options.features_extra = features;
  return features & Port::offered_features(options);
}

void close_number(int& fd) noexcept {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

}  // namespace

Driver::Driver(std::string path, std::uint64_t flags) : flags_(flags) {
  kicks_.fill(-1);
  options_.socket_path = std::move(path);
  options_.role = (flags & flag_client) != 0 ? Role::client : Role::server;
  options_.queue_pairs_max = queue_pairs_max;
  options_.features_extra = feature_in_order;
}

void Driver::set_ops(const DeviceOps* ops) {
  const std::lock_guard guard(settings_lock_);
  ops_ = ops;
}

bool Driver::change_features(std::uint64_t set, std::uint64_t clear) {
  const std::lock_guard guard(settings_lock_);
  if (port_ != nullptr) return false;
  options_.features_masked = (options_.features_masked & ~set) | clear;
  options_.features_extra = possible((options_.features_extra & ~clear) | set);
  return true;
}

std::uint64_t Driver::features() const {
  const std::lock_guard guard(settings_lock_);
  return Port::offered_features(options_);
}

bool Driver::set_queue_pairs(std::uint32_t pairs) {
  const std::lock_guard guard(settings_lock_);
  if (port_ != nullptr) return false;
  options_.queue_pairs_max = static_cast<std::uint16_t>(pairs);
  return true;
}

std::uint32_t Driver::queue_pairs() const {
  const std::lock_guard guard(settings_lock_);
  return options_.queue_pairs_max;
}

int Driver::protocol_features(std::uint64_t& features) const {
  const std::lock_guard guard(settings_lock_);
  if (port_ == nullptr) return -1;
  features = port_->info().protocol_features_offered;
  return 0;
}

Result<void> Driver::start(Backend& backend, std::function<void()> woken) {
  const std::lock_guard guard(settings_lock_);
  if (closed_) return Error{ErrorCode::busy, "another thread is unregistering it"};
  if (port_ != nullptr) return Error{ErrorCode::busy, "it is started already"};
  auto port = backend.open_port(options_, [self = shared_from_this(), woken](Port& opened, const PortEvent& event) {
    self->open_port_.store(&opened, std::memory_order_relaxed);
    if (!self->facts_.note(opened, event)) return;
    self->changed_.store(true, std::memory_order_release);
    woken();
  });
  if (!port) return std::move(port).error();
  port_ = std::move(port).value();
  return {};
}

bool Driver::close() {
  std::unique_ptr<Port> port;  // destroyed after the lock is released
  const std::lock_guard guard(settings_lock_);
  if (std::exchange(closed_, true)) return false;
  port = std::move(port_);
  return true;
}

// ---- callbacks: one at a time ----

void Driver::retire() {
  const std::lock_guard guard(callbacks_);
  if (vid_ >= 0) destroy_connection();
  detach();  // still attached where the destroy_connection callback unregisters
  retired_ = true;
}

void Driver::reconcile() {
  const std::lock_guard guard(callbacks_);
  if (!changed_.exchange(false, std::memory_order_acquire) || retired_) return;
  try {
    run_callbacks();
  } catch (...) {
    changed_.store(true, std::memory_order_release);
    throw;
  }
}

// Facts taken from the board must not get lost. Only may_create_device() and create_device() may throw: they come last
// and can be repeated.
void Driver::run_callbacks() {
  const Facts facts = facts_.take();
  if (vid_ >= 0 && (!facts.connected || facts.connection != connection_)) destroy_connection();
  if (!facts.connected) return;
  if (vid_ < 0) create_connection(facts);
  if (vid_ < 0) return;
  // Any callback may unregister its own driver. Then vid_ is -1.
  if (running_ && (facts.unready & reported_enabled_).any()) destroy_device();
  if (vid_ >= 0) report_features(facts.features);
  report_queues(facts);
  if (vid_ >= 0 && !running_ && may_create_device()) create_device();
}

void Driver::create_connection(const Facts& facts) {
  if (facts.connection == connection_) return;  // no vid was free for it; that was logged
  connection_ = facts.connection;
  vid_ = devices().allocate();
  if (vid_ < 0) return say(LogLevel::error, path() + ": all device numbers are in use, this front-end is not served");
  const DeviceOps* ops = nullptr;
  {
    const std::lock_guard guard(settings_lock_);
    ops = ops_;
  }
  calls_ = ops == nullptr ? DeviceOps{} : *ops;
  reported_features_ = 0;
  attached_ = vid_;
  find_device(vid_)->attach(*open_port_.load(std::memory_order_relaxed), flags_, ops);
  if (calls_.new_connection == nullptr || calls_.new_connection(vid_) >= 0) return;
  static std::atomic<bool> said{false};
  refuse(said, "new_connection() < 0", "the front-end stays connected");
}

void Driver::destroy_connection() {
  destroy_device();
  const int vid = std::exchange(vid_, -1);
  if (vid < 0) return;  // the callback unregistered its own driver
  if (calls_.destroy_connection != nullptr) calls_.destroy_connection(vid);
  detach();
}

void Driver::detach() {
  const int vid = std::exchange(attached_, -1);
  if (vid < 0) return;
  find_device(vid)->detach();
  devices().release(vid);
  reported_enabled_.reset();
  for (int& kick : kicks_) close_number(kick);
}

void Driver::destroy_device() {
  if (!std::exchange(running_, false)) return;
  report_again_ = true;
  say_call(path(), "destroy_device", vid_);
  if (calls_.destroy_device != nullptr) calls_.destroy_device(vid_);
}

void Driver::report_features(std::uint64_t features) {
  if (std::exchange(reported_features_, features) == features || !running_) return;
  if (calls_.features_changed != nullptr) calls_.features_changed(vid_, features);
}

// A queue that has started is reported once more, as its kick descriptor is known only then.
void Driver::report_queues(const Facts& facts) {
  const QueueSet enabled = facts.ready & facts.enabled;
  const bool again = std::exchange(report_again_, false);
  for (std::uint16_t i = 0; i < queues_max && vid_ >= 0; ++i) {
    if (facts.unready[i] && reported_enabled_[i]) report_queue(i, false);
    if (vid_ < 0) return;
    if (enabled[i] != reported_enabled_[i] || (enabled[i] && (again || facts.started[i]))) report_queue(i, enabled[i]);
  }
}

// The old kick descriptor is closed only after the application was told of the new one, or that there is none.
void Driver::report_queue(std::uint16_t index, bool enabled) {
  reported_enabled_.set(index, enabled);
  int before = std::exchange(kicks_[index], enabled ? facts_.copy_kick(index) : -1);
  find_device(vid_)->show_kick(index, kicks_[index]);
  say_queue(path(), vid_, index, enabled);
  if (calls_.vring_state_changed != nullptr) calls_.vring_state_changed(vid_, index, enabled ? 1 : 0);
  close_number(before);
}

// As in DPDK's library: the first queue pair must be enabled, and the driver ready if the front-end reports its status.
bool Driver::may_create_device() const {
  if (!reported_enabled_[0] || !reported_enabled_[1]) return false;
  const PortInfo info = open_port_.load(std::memory_order_relaxed)->info();
  return (info.protocol_features & protocol_status) == 0 || (info.status & driver_ok) != 0;
}

// Looks up the node first, because the application will ask for it.
void Driver::create_device() {
  open_port_.load(std::memory_order_relaxed)->look_at_placement();
  say_call(path(), "new_device", vid_);
  const bool taken = calls_.new_device == nullptr || calls_.new_device(vid_) == 0;
  running_ = taken && vid_ >= 0;
}

}  // namespace vhostx::compat
