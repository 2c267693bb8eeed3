// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/device.hpp"

#include <new>

#include <rte_pause.h>

namespace vhostx::compat {

constinit std::array<std::atomic<Device*>, devices_max> known_devices{};

QueueLock::QueueLock(DeviceQueue& queue) noexcept : queue_(queue), owns_(true) {
  while (queue.busy.exchange(true, std::memory_order_acquire))
    while (queue.busy.load(std::memory_order_relaxed)) rte_pause();
}

void Device::attach(Port& port, std::uint64_t flags, const DeviceOps* ops) {
  for (std::uint16_t i = 0; i < port.vring_count() && i < queues_max; ++i) {
    DeviceQueue& queue = queues_[i];
    const QueueLock lock(queue);
    queue.vring = &port.vring(i);
    queue.flags = flags;
    queue.ops = ops;
    queue.calls_seen = queue.vring->count(VringCounter::calls);
    queue.drops_seen = dropped_for_good(*queue.vring);
    queue.stalls_seen = queue.vring->count(VringCounter::stall_no_mbuf);
    queue.statistics.reset();
    queue.vring->hold_calls(guest_notify_of(ops) != nullptr);
    queue.vring->set_notifications(true);  // for each device, until the application says otherwise
  }
  for (std::uint16_t i = 0; i < queues_max; ++i) show_kick(i, -1);
  const std::lock_guard guard(lock_);
  port_ = &port;
  flags_ = flags;
}

void Device::detach() {
  {
    const std::lock_guard guard(lock_);
    port_ = nullptr;
    flags_ = 0;
  }
  for (DeviceQueue& queue : queues_) {
    const QueueLock lock(queue);
    queue.vring = nullptr;
    queue.ops = nullptr;
  }
  for (std::uint16_t i = 0; i < queues_max; ++i) show_kick(i, -1);
}

std::uint64_t Device::flags() const {
  const std::lock_guard guard(lock_);
  return flags_;
}

int DeviceTable::allocate() noexcept {
  const std::lock_guard guard(lock_);
  for (std::size_t vid = 0; vid < devices_max; ++vid) {
    if (used_[vid]) continue;
    if (owned_[vid] == nullptr) owned_[vid].reset(new (std::nothrow) Device);
    if (owned_[vid] == nullptr) return -1;
    used_[vid] = true;
    known_devices[vid].store(owned_[vid].get(), std::memory_order_release);
    return static_cast<int>(vid);
  }
  return -1;
}

void DeviceTable::release(int vid) noexcept {
  const std::lock_guard guard(lock_);
  used_[static_cast<std::size_t>(vid)] = false;
}

// Never destroyed: threads of the application may still poll while the process ends.
DeviceTable& devices() {
  static auto& table = *new DeviceTable;
  return table;
}

}  // namespace vhostx::compat
