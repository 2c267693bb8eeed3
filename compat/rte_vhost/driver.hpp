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
  /// Features to offer: those of `set`, without those of `clear`, beside what they were. False: the port is open.
  bool change_features(std::uint64_t set, std::uint64_t clear);
  std::uint64_t features() const;
  /// To offer, 1 to queue_pairs_max. False: the port is open.
  bool set_queue_pairs(std::uint32_t pairs);
  std::uint32_t queue_pairs() const;
  /// -1: the port is not open yet.
  int protocol_features(std::uint64_t& features) const;
  /// `woken` is called on the control thread whenever reconcile() has something to do.
  Result<void> start(Backend& backend, std::function<void()> woken);
  /// Ends the device with its callbacks; reconcile() does nothing more. Waits for a callback of this driver on another
  /// thread.
  void retire();
  /// After retire(). Waits for the control thread. False: another thread has done it, or is at it.
  bool close();

  /// Event thread: brings what the application was told in line with what is. Where memory is out it throws, and wants
  /// to be called again.
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

  mutable std::mutex settings_lock_;  // options_ before the start, ops_, port_, closed_
  PortOptions options_;
  const std::uint64_t flags_;
  const DeviceOps* ops_ = nullptr;
  std::unique_ptr<Port> port_;
  bool closed_ = false;

  FactBoard facts_;
  std::atomic<Port*> open_port_{nullptr};  // as events name it, which may be before port_ is set; released by changed_
  std::atomic<bool> changed_{false};       // event handler to reconcile()

  // Held while the application is called, and for all below. Recursive: a callback may unregister its own driver. One
  // for each driver: a callback may wait for a thread that unregisters another one (Open vSwitch's do).
  std::recursive_mutex callbacks_;
  bool retired_ = false;
  int vid_ = -1;                  // what the application knows
  int attached_ = -1;             // the vid whose device has the port: a little longer
  std::uint64_t connection_ = 0;  // whose device it is
  DeviceOps calls_{};             // of this connection, null where there is none
  bool running_ = false;          // between new_device and destroy_device
  std::uint64_t reported_features_ = 0;
  QueueSet reported_enabled_;
  bool report_again_ = false;          // all queues that are on: applications forget them with the device
  std::array<int, queues_max> kicks_;  // as the application knows them, ours to close
};

}  // namespace vhostx::compat
