// SPDX-License-Identifier: BSD-3-Clause
// The data path: rte_vhost_enqueue_burst() and rte_vhost_dequeue_burst().
#include <utility>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <vhostx/offload.hpp>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/device.hpp"
#include "compat/rte_vhost/linear_packet.hpp"

namespace vhostx::compat {
namespace {

// Whether calls must be counted, or left to the application.
bool follows_calls(const DeviceQueue& queue) noexcept {
  if ((queue.flags & flag_statistics) != 0) return true;
  return queue.ops != nullptr && (queue.ops->guest_notified != nullptr || guest_notify_of(queue.ops) != nullptr);
}

// How many calls the guest has requested since the last burst.
std::uint64_t take_calls(DeviceQueue& queue) noexcept {
  if (!follows_calls(queue)) return 0;
  const std::uint64_t calls = queue.vring->count(VringCounter::calls);
  return calls - std::exchange(queue.calls_seen, calls);
}

std::uint64_t take_drops(DeviceQueue& queue) noexcept {
  const std::uint64_t drops = dropped_for_good(*queue.vring);
  return drops - std::exchange(queue.drops_seen, drops);
}

std::uint64_t take_stalls(DeviceQueue& queue) noexcept {
  const std::uint64_t stalls = queue.vring->count(VringCounter::stall_no_mbuf);
  return stalls - std::exchange(queue.stalls_seen, stalls);
}

// Called after the burst without the lock: callbacks may query this queue.
void finish(DeviceQueue& queue, QueueLock& lock, int vid, std::uint16_t index) noexcept {
  const std::uint64_t calls = take_calls(queue);
  if (calls == 0) return;
  const DeviceOps* const ops = queue.ops;
  if (const auto notify = guest_notify_of(ops); notify != nullptr) {
    lock.release();
    if (!notify(vid, index)) return rte_vhost_notify_guest(vid, index);
    queue.statistics.count_offloaded_notification();
    return;
  }
  queue.statistics.count_notifications(calls);
  lock.release();
  const auto notified = ops == nullptr ? nullptr : ops->guest_notified;
  for (std::uint64_t i = 0; notified != nullptr && i < calls; ++i) notified(vid);
}

// The behaviour before compliant flags: offloads that the guest left undone become transmit requests.
void to_transmit_flags(rte_mbuf* packet) noexcept {
  if ((packet->ol_flags & (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO)) == 0) return;
  if (!to_transmit_offload(packet)) packet->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO);
}

// Applies the application's flags to packets; returns how many are left.
std::uint16_t adapt(std::uint64_t flags, rte_mbuf** packets, std::uint16_t count) noexcept {
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    rte_mbuf* const packet = packets[i];
    if ((flags & flag_linear_buffers) != 0 && packet->nb_segs > 1 &&
        !make_linear(packet, (flags & flag_external_buffers) != 0)) {
      rte_pktmbuf_free(packet);
      continue;
    }
    if ((flags & flag_compliant_offloads) == 0) to_transmit_flags(packet);
    packets[kept++] = packet;
  }
  return kept;
}

}  // namespace
}  // namespace vhostx::compat

using namespace vhostx::compat;

std::uint16_t rte_vhost_enqueue_burst(int vid, std::uint16_t index, rte_mbuf** packets, std::uint16_t count) {
  DeviceQueue* const queue = find_queue(vid, index);
  if (queue == nullptr) return 0;
  QueueLock lock(*queue);
  if (queue->vring == nullptr) return 0;
  const std::uint16_t done = queue->vring->enqueue_burst(packets, count);
  if (done != 0 && (queue->flags & flag_statistics) != 0) queue->statistics.count({packets, done}, take_drops(*queue));
  finish(*queue, lock, vid, index);
  return done;
}

void rte_vhost_notify_guest(int vid, std::uint16_t index) {
  DeviceQueue* const queue = find_queue(vid, index);
  if (queue == nullptr) return;
  QueueLock lock(*queue);
  if (queue->vring == nullptr || !queue->vring->call_guest()) return;
  queue->statistics.count_notifications(1);
  const auto notified = queue->ops == nullptr ? nullptr : queue->ops->guest_notified;
  lock.release();
  if (notified != nullptr) notified(vid);
}

std::uint16_t rte_vhost_dequeue_burst(int vid, std::uint16_t index, rte_mempool* pool, rte_mbuf** packets,
                                      std::uint16_t count) {
  DeviceQueue* const queue = find_queue(vid, index);
  if (queue == nullptr) return 0;
  QueueLock lock(*queue, std::try_to_lock);
  if (!lock.owns() || queue->vring == nullptr) return 0;
  std::uint16_t done = queue->vring->dequeue_burst(pool, packets, count);
  if (has_late_statistics && (queue->flags & flag_statistics) != 0) queue->statistics.count_stalls(take_stalls(*queue));
  if (done != 0) {
    done = adapt(queue->flags, packets, done);
    if ((queue->flags & flag_statistics) != 0) queue->statistics.count({packets, done}, 0);
  }
  finish(*queue, lock, vid, index);
  return done;
}
