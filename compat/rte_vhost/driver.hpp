// SPDX-License-Identifier: BSD-3-Clause
// Driver: one path that the application has registered: its settings, its port, and the device of the front-end that is
// connected there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <vhostx/backend.hpp>
#include <vhostx/port.hpp>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/device.hpp"
#include "compat/rte_vhost/facts.hpp"

namespace vhostx::compat {

class Driver : public std::enable_shared_from_this<Driver> {
 public:
  Driver(std::string path, std::uint64_t flags);

  const std::string& path() const noexcept { return options_.socket_path; }

  // ---- the application's threads ----
  void set_ops(const DeviceOps* ops);
  /// Features to offer: those of `set`, without those of `clear`, beside what they were. False: the port is open.
  bool change_features(std::uint64_t set, std::uint64_t clear);
  std::uint64_t features() const;
  /// -1: the port is not open yet.
  int protocol_features(std::uint64_t& features) const;
  /// `woken` is called on the control thread whenever reconcile() has something to do.
  Result<void> start(Backend& backend, std::function<void()> woken);
  /// Under the lock of callbacks. Ends the device with its callbacks; reconcile() does nothing more.
  void retire();
  /// After retire(), without that lock: waits for the control thread.
  void close();

  /// Event thread, under the lock of callbacks: brings what the application was told in line with what is.
  void reconcile();

 private:
  void welcome(const Facts& facts);
  void farewell();
  void leave();
  void tell_queues(const Facts& facts);
  void tell_queue(std::uint16_t index, bool enabled);
  void tell_features(std::uint64_t features);
  void enter();
  bool may_enter(const Facts& facts) const;

  mutable std::mutex settings_lock_;  // options_ before the start, ops_, port_
  PortOptions options_;
  const std::uint64_t flags_;
  const DeviceOps* ops_ = nullptr;
  std::unique_ptr<Port> port_;

  FactBoard facts_;
  std::atomic<Port*> open_port_{nullptr};  // as events name it, which may be before port_ is set
  std::atomic<bool> changed_{false};

  // Under the lock of callbacks.
  bool retired_ = false;
  int vid_ = -1;
  std::uint64_t connection_ = 0;  // whose device it is
  DeviceOps calls_{};             // of this connection, null where there is none
  bool running_ = false;          // between new_device and destroy_device
  std::uint64_t told_features_ = 0;
  QueueSet told_enabled_;
};

}  // namespace vhostx::compat
