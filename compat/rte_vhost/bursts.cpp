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

// How often the guest was called since the last burst; the application may want to count that.
std::uint64_t take_calls(DeviceQueue& queue) noexcept {
  if (queue.ops == nullptr || (queue.ops->guest_notified == nullptr && (queue.flags & flag_statistics) == 0)) return 0;
  const std::uint64_t calls = queue.vring->count(VringCounter::calls);
  return calls - std::exchange(queue.calls_seen, calls);
}

std::uint64_t take_drops(DeviceQueue& queue) noexcept {
  const std::uint64_t drops = dropped_for_good(*queue.vring);
  return drops - std::exchange(queue.drops_seen, drops);
}

// After the burst, and without the lock: the callback may ask about this very queue.
void finish(DeviceQueue& queue, QueueLock& lock, int vid) noexcept {
  const std::uint64_t calls = take_calls(queue);
  if (calls == 0) return;
  queue.statistics.count_notifications(calls);
  const auto notified = queue.ops->guest_notified;
  lock.release();
  for (std::uint64_t i = 0; notified != nullptr && i < calls; ++i) notified(vid);
}

// As applications knew it before there were compliant flags: what the guest left to others is asked of the next device.
void to_transmit_flags(rte_mbuf* packet) noexcept {
  if ((packet->ol_flags & (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO)) == 0) return;
  if (!to_transmit_offload(packet)) packet->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO);
}

// What the application's flags want of packets; returns how many are left.
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
  finish(*queue, lock, vid);
  return done;
}

std::uint16_t rte_vhost_dequeue_burst(int vid, std::uint16_t index, rte_mempool* pool, rte_mbuf** packets,
                                      std::uint16_t count) {
  DeviceQueue* const queue = find_queue(vid, index);
  if (queue == nullptr) return 0;
  QueueLock lock(*queue, std::try_to_lock);
  if (!lock.owns() || queue->vring == nullptr) return 0;
  std::uint16_t done = queue->vring->dequeue_burst(pool, packets, count);
  if (done != 0) {
    done = adapt(queue->flags, packets, done);
    if ((queue->flags & flag_statistics) != 0) queue->statistics.count({packets, done}, 0);
  }
  finish(*queue, lock, vid);
  return done;
}
