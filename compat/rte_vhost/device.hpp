// SPDX-License-Identifier: BSD-3-Clause
// Device: what a vid refers to: one connection of a front-end, with its queues.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include <vhostx/port.hpp>
#include <vhostx/vring.hpp>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/queue_statistics.hpp"

namespace vhostx::compat {

inline constexpr std::uint16_t queues_max = 2 * queue_pairs_max;

/// What bursts of a queue need. All members except `busy` and the statistics change only under the lock.
struct alignas(64) DeviceQueue {
  std::atomic<bool> busy{false};
  Vring* vring = nullptr;  ///< Null: the vid refers to no connection.
  std::uint64_t flags = 0;
  const DeviceOps* ops = nullptr;
  std::uint64_t calls_seen = 0;  ///< The vring's counter of calls, when last read.
  std::uint64_t drops_seen = 0;
  std::uint64_t stalls_seen = 0;
  QueueStatistics statistics;
};

/// Locks a queue for one burst: rte_vhost lets several threads send into one queue, and a device may be destroyed
/// during a burst. Otherwise uncontended: one locked instruction a burst.
class QueueLock {
 public:
  /// Waits for the burst in progress.
  explicit QueueLock(DeviceQueue& queue) noexcept;
  /// Does not wait: owns() may be false.
  QueueLock(DeviceQueue& queue, std::try_to_lock_t) noexcept
      : queue_(queue), owns_(!queue.busy.exchange(true, std::memory_order_acquire)) {}
  ~QueueLock() { release(); }
  QueueLock(const QueueLock&) = delete;
  QueueLock& operator=(const QueueLock&) = delete;

  bool owns() const noexcept { return owns_; }
  void release() noexcept {
    if (owns_) queue_.busy.store(false, std::memory_order_release);
    owns_ = false;
  }

 private:
  DeviceQueue& queue_;
  bool owns_;
};

class Device {
 public:
  /// From now on the vid refers to the front-end that is connected to `port`. The port must outlive detach().
  void attach(Port& port, std::uint64_t flags, const DeviceOps* ops);
  /// Waits for bursts in progress. Later bursts and other calls find no port.
  void detach();

  /// The queue that bursts and other calls of the data path use; null: no such queue.
  DeviceQueue* queue(std::uint16_t index) noexcept { return index < queues_max ? &queues_[index] : nullptr; }
  std::uint64_t flags() const;
  /// The queue's kick descriptor, as reported to the application; -1: none. The Driver owns it. Only the number is
  /// shared, so that nothing depends on memory order.
  int kick_fd(std::uint16_t index) const noexcept { return kick_fds_[index].load(std::memory_order_acquire); }
  void show_kick(std::uint16_t index, int fd) noexcept { kick_fds_[index].store(fd, std::memory_order_release); }

  /// Returns `use(port)` if there is a port, which exists meanwhile; else `otherwise`.
  template <typename Answer, typename Use>
  Answer with_port(Use use, Answer otherwise) const {
    const std::lock_guard guard(lock_);
    return port_ == nullptr ? otherwise : use(*port_);
  }

 private:
  mutable std::mutex lock_;  // for port_ and flags_; never taken on the data path
  Port* port_ = nullptr;
  std::uint64_t flags_ = 0;
  std::array<DeviceQueue, queues_max> queues_;
  std::array<std::atomic<int>, queues_max> kick_fds_{};  // set by attach()
};

/// Packets dropped because this guest can never take them. rte_vhost_enqueue_burst() counts them as taken.
inline std::uint64_t dropped_for_good(const Vring& vring) noexcept {
  return vring.count(VringCounter::drop_too_large) + vring.count(VringCounter::drop_bad_offload);
}

/// The vids in use. Any thread; find_device() takes no lock.
class DeviceTable {
 public:
  /// The lowest free vid; -1: all are in use, or there is no memory.
  int allocate() noexcept;
  void release(int vid) noexcept;

 private:
  std::mutex lock_;  // allocate(), release()
  std::array<bool, devices_max> used_{};
  std::array<std::unique_ptr<Device>, devices_max> owned_;
};

DeviceTable& devices();

/// By vid; each is set once. The release store pairs with the acquire in find_device(), which then sees the complete
/// Device.
extern constinit std::array<std::atomic<Device*>, devices_max> known_devices;

/// The Device of this vid; null: there never was one. Devices are reused and never freed, so that a thread which calls
/// too late finds one without vrings instead of freed memory.
inline Device* find_device(int vid) noexcept {
  if (static_cast<unsigned>(vid) >= devices_max) return nullptr;
  return known_devices[static_cast<unsigned>(vid)].load(std::memory_order_acquire);
}

/// The queue of that vid, for bursts; null: there is none.
inline DeviceQueue* find_queue(int vid, std::uint16_t index) noexcept {
  Device* const device = find_device(vid);
  return device == nullptr ? nullptr : device->queue(index);
}

}  // namespace vhostx::compat
