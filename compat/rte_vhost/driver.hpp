// SPDX-License-Identifier: BSD-3-Clause
// Driver: one path that the application has registered: its settings, its port, and the device of the front-end that is
// connected there.
#pragma once

#include <array>
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
  /// Adds `set` to the features to offer and removes `clear`. False: the port is open.
  bool change_features(std::uint64_t set, std::uint64_t clear);
  std::uint64_t features() const;
  /// Queue pairs to offer, 1 to queue_pairs_max. False: the port is open.
  bool set_queue_pairs(std::uint32_t pairs);
  std::uint32_t queue_pairs() const;
  /// -1: the port is not open yet.
  int protocol_features(std::uint64_t& features) const;
  /// `woken` is called on the control thread whenever reconcile() has something to do.
  Result<void> start(Backend& backend, std::function<void()> woken);
  /// Ends the device with its callbacks; reconcile() does nothing more. Waits for a callback of this driver on another
  /// thread.
  void retire();
  /// Call after retire(). Waits for the control thread. False: another thread has closed it, or is closing it.
  bool close();

  /// Event thread: makes the callbacks that bring the application up to date. Without memory it throws, and must be
  /// called again.
  void reconcile();

 private:
  void run_callbacks();
  void create_connection(const Facts& facts);
  void destroy_connection();
  void detach();
  void destroy_device();
  void report_queues(const Facts& facts);
  void report_queue(std::uint16_t index, bool enabled);
  void report_features(std::uint64_t features);
  void create_device();
  bool may_create_device() const;

  mutable std::mutex settings_lock_;  // for ops_, port_, closed_, and options_ before the start
  PortOptions options_;
  const std::uint64_t flags_;
  const DeviceOps* ops_ = nullptr;
  std::unique_ptr<Port> port_;
  bool closed_ = false;

  FactBoard facts_;
  std::atomic<Port*> open_port_{nullptr};  // from events, perhaps before port_ is set; released by changed_
  std::atomic<bool> changed_{false};       // event handler to reconcile()

  // Held during callbacks, and for all members below. Recursive: a callback may unregister its own driver. One for each
  // driver: a callback may wait for a thread that unregisters another one (Open vSwitch's do).
  std::recursive_mutex callbacks_;
  bool retired_ = false;
  int vid_ = -1;                  // what the application knows
  int attached_ = -1;             // the vid whose device has the port; set a little longer than vid_
  std::uint64_t connection_ = 0;  // the connection of vid_
  DeviceOps calls_{};             // for this connection; null members if there are none
  bool running_ = false;          // between new_device and destroy_device
  std::uint64_t reported_features_ = 0;
  QueueSet reported_enabled_;
  bool report_again_ = false;          // all queues that are on: applications forget them with the device
  std::array<int, queues_max> kicks_;  // as reported to the application; we close them
};

}  // namespace vhostx::compat
