// SPDX-License-Identifier: BSD-3-Clause
// TxQueue: sending, and the backlog of a guest that is slow for a moment.
#include "tools/switch/tx_queue.hpp"

#include <algorithm>

#include <rte_cycles.h>

namespace vhostx::tools {

namespace {

std::uint64_t tsc_milliseconds() noexcept { return rte_get_tsc_cycles() / (rte_get_tsc_hz() / 1000); }

}  // namespace

bool Sink::ready() const noexcept {
  if (vring == nullptr) return device->link() != LinkState::gone;
  const auto state = vring->state();
  return state.started && state.enabled && !state.broken;
}

TxQueue::TxQueue(const TxQueueOptions& options) : options_(options), backlog_(options.backlog_max) {
  if (options_.milliseconds == nullptr) options_.milliseconds = tsc_milliseconds;
}

TxQueue::~TxQueue() { discard(); }

void TxQueue::send(rte_mbuf** packets, std::uint16_t count) noexcept {
  std::uint16_t taken = 0;
  {
    SpinlockGuard guard(lock_, options_.shared);
    if (backlog_.size() != 0) drain();
    if (backlog_.size() == 0) taken = options_.sink.offer(packets, count);
    if (taken < count) keep(packets + taken, static_cast<std::uint16_t>(count - taken));
  }
  release_burst(packets, taken);
}

void TxQueue::move(Transfer& transfer, const std::uint8_t* which, std::uint16_t count, rte_mempool* pool) noexcept {
  SpinlockGuard guard(lock_, options_.shared);
  if (backlog_.size() != 0) drain();
  const std::uint16_t taken =
      backlog_.size() == 0 ? transfer.move(which, count, *options_.sink.vring) : std::uint16_t{0};
  if (taken < count) keep_copies(transfer, which + taken, static_cast<std::uint16_t>(count - taken), pool);
}

std::uint16_t TxQueue::offer(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  SpinlockGuard guard(lock_, options_.shared);
  return options_.sink.offer(packets, count);
}

std::uint32_t TxQueue::flush() noexcept {
  SpinlockGuard guard(lock_, options_.shared);
  if (backlog_.size() == 0) return 0;
  return options_.sink.ready() ? drain() : discard();
}

void TxQueue::set_owner(BacklogOwner& owner) noexcept {
  SpinlockGuard guard(lock_, options_.shared);
  if (backlog_.size() != 0) {
    options_.owner->backlog_ended();
    owner.backlog_began();
  }
  options_.owner = &owner;
}

bool TxQueue::set_notifications(bool on) noexcept {
  SpinlockGuard guard(lock_, options_.shared);
  return options_.sink.vring != nullptr && options_.sink.vring->set_notifications(on);
}

/// As many of the oldest packets as the sink takes. Ends: each round takes some out of the backlog. At most one packet
/// is given up: trying one costs as much as a copy of it.
std::uint32_t TxQueue::drain() noexcept {
  std::uint32_t moved = 0;
  bool may_give_up = true;
  while (backlog_.size() != 0) {
    std::uint16_t count = 0;
    rte_mbuf** const packets = backlog_.front(burst_max, count);
    const auto taken = options_.sink.offer(packets, count);
    pop(taken);
    moved += taken;
    if (taken == count) continue;
    if (!may_give_up || !options_.sink.has_few_buffers() || !gave_up_first()) break;
    may_give_up = false;
    ++moved;
  }
  return moved;
}

/// The oldest packet needs more buffers than the guest has posted. Whether it was dropped for that by now.
bool TxQueue::gave_up_first() noexcept {
  const Patience& patience = options_.patience;
  const std::uint64_t now = options_.milliseconds();
  if (blocked_tries_++ == 0) blocked_since_ = now;
  const bool waited = blocked_tries_ >= patience.tries && now - blocked_since_ >= patience.milliseconds;
  // One try says nothing: buffers may have come between the burst and the look at them.
  if (!waited && (now >= patient_from_ || blocked_tries_ < 2)) return false;
  if (waited) patient_from_ = now + patience.none_after_ms;
  pop(1);
  few_buffers_.add(1);
  return true;
}

/// The ring is stopped, disabled or broken: what waits for it is stale.
std::uint32_t TxQueue::discard() noexcept {
  std::uint32_t moved = 0;
  while (backlog_.size() != 0) {
    std::uint16_t count = 0;
    backlog_.front(burst_max, count);
    pop(count);
    moved += count;
  }
  not_ready_.add(moved);
  return moved;
}

void TxQueue::pop(std::uint16_t count) noexcept {
  if (count == 0) return;
  blocked_tries_ = 0;
  std::uint16_t side_by_side = 0;
  rte_mbuf** const packets = backlog_.front(count, side_by_side);
  std::uint32_t segments = 0;
  for (std::uint16_t i = 0; i < side_by_side; ++i) segments += packets[i]->nb_segs;
  release_burst(packets, side_by_side);
  backlog_.pop(side_by_side);
  options_.budget->give(segments);
  if (backlog_.size() != 0) return;
  has_backlog_.store(false, std::memory_order_relaxed);
  options_.owner->backlog_ended();
}

void TxQueue::keep(rte_mbuf** packets, std::uint16_t count) noexcept {
  const bool begins = backlog_.size() == 0;
  std::uint16_t kept = 0;
  while (kept < count && push(packets[kept])) ++kept;
  ring_full_.add(static_cast<std::uint64_t>(count - kept));
  release_burst(packets + kept, static_cast<std::uint16_t>(count - kept));
  if (kept != 0) note_backlog(begins);
}

/// What there is no room for is not copied. A packet that the pool has no mbuf for is lost like one that the backlog
/// has no room for: it would be that one's turn.
void TxQueue::keep_copies(Transfer& transfer, const std::uint8_t* which, std::uint16_t count,
                          rte_mempool* pool) noexcept {
  const bool begins = backlog_.size() == 0;
  std::uint16_t kept = 0;
  for (; kept < count && !backlog_.full(); ++kept) {
    rte_mbuf* const packet = transfer.copy(which[kept], pool);
    if (packet == nullptr) break;
    if (push(packet)) continue;
    rte_pktmbuf_free(packet);
    break;
  }
  ring_full_.add(static_cast<std::uint64_t>(count - kept));
  if (kept != 0) note_backlog(begins);
}

bool TxQueue::push(rte_mbuf* packet) noexcept {
  if (backlog_.full() || !options_.budget->take(packet->nb_segs)) return false;
  backlog_.push(packet);
  return true;
}

void TxQueue::note_backlog(bool begins) noexcept {
  if (!begins) return;
  has_backlog_.store(true, std::memory_order_relaxed);
  options_.owner->backlog_began();
}

}  // namespace vhostx::tools
