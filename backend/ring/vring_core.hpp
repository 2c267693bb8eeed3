// SPDX-License-Identifier: BSD-3-Clause
// VringCore: the implementation of a public Vring. Vring calls its data side, PortCore its control side.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <vhostx/queue_pairs.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>
#include <vhostx/vring_fault.hpp>
#include <vhostx/vring_stats.hpp>
#include <vhostx/waiter.hpp>

#include "backend/ring/pool_check.hpp"
#include "backend/ring/running_vring.hpp"
#include "backend/ring/vring_data.hpp"
#include "backend/ring/vring_gate.hpp"
#include "backend/ring/vring_loans.hpp"
#include "backend/ring/vring_placer.hpp"
#include "base/event_fd.hpp"
#include "base/logger.hpp"
#include "base/page_memory.hpp"

namespace vhostx {
class Transfer;
}

namespace vhostx::backend {

/// A MAC address in the low 48 bits of a number, its first byte lowest, as SEND_RARP brings it.
inline std::array<std::uint8_t, 6> mac_of(std::uint64_t number) noexcept {
  std::array<std::uint8_t, 6> mac;
  for (std::size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return mac;
}

/// In pages of its own, as all that a data thread reads or writes each burst: NUMA placement moves them.
class VringCore : public InOwnPages {
 public:
  /// What the data thread needs from the control thread. `attention` is signalled then.
  struct Attention {
    bool broken = false;        ///< fault() says why.
    bool call_in_band = false;  ///< Send VRING_CALL.
  };

  /// `attention` and `log` are the port's, and outlive this. Error: system (no memory for the state's pages).
  static Result<std::unique_ptr<VringCore>> create(std::uint16_t index, const PortOptions& options,
                                                   const EventFd& attention, const Logger& log);
  ~VringCore();
  VringCore(const VringCore&) = delete;
  VringCore& operator=(const VringCore&) = delete;

  Vring& handle() noexcept { return handle_; }
  static VringCore& of(Vring& handle) noexcept { return handle.core_; }
  std::uint16_t index() const noexcept { return index_; }

  // ---- data thread (see Vring) ----
  std::uint16_t dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept;
  std::uint16_t enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept;
  std::uint16_t borrow_burst(rte_mempool* pool, rte_mbuf** buffers, std::uint16_t count) noexcept;
  std::uint16_t commit_burst(rte_mbuf** packets, std::uint16_t count) noexcept;
  std::uint16_t poll_completions() noexcept;
  bool set_notifications(bool on) noexcept;
  bool call_guest() noexcept;
  std::uint16_t pending() noexcept;
  EnqueueEnd enqueue_end() noexcept;
  AvailWatch avail_watch() noexcept;

  // ---- any thread ----
  void hold_calls(bool hold) noexcept { calls_held_.store(hold, std::memory_order_relaxed); }
  int kick_fd() const noexcept { return kick_fd_.load(std::memory_order_relaxed); }
  VringState state() const noexcept;
  std::uint16_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  VringStats stats() const noexcept;
  std::uint64_t count(VringCounter id) const noexcept { return data_.counters.shown(id); }
  /// Where the packets are counted that were moved since the process began.
  const void* packets_at() const noexcept { return data_.counters.address(VringCounter::packets); }
  PacketSizes packet_sizes() const noexcept { return sizes_ == nullptr ? PacketSizes{} : sizes_->snapshot(); }
  void reset_stats() noexcept {
    data_.counters.reset();
    if (sizes_ != nullptr) sizes_->reset();
  }
  /// A guest brings its counters from another back-end. While the vring is stopped.
  void restore_stats(const VringStats& stats) noexcept { data_.counters.restore(stats); }
  int numa_node() const noexcept { return placer_.node(); }
  VringPlacement placement() const { return placer_.last(); }
  Result<void> watch(std::shared_ptr<Waiter::State> waiter);
  void unwatch(const Waiter::State& waiter) noexcept;

  // ---- control thread ----
  /// Counts in `pages` from now on, as a process before may have done. No thread uses the vring yet. Error: system.
  Result<void> keep_counters(const CounterPages& pages);
  /// Starts a stopped vring at `position`, and clears its fault. `kick` is the eventfd to expose.
  /// Wakes the waiter. The vring runs even after an error: then the waiter cannot watch the kick, or nothing can be
  /// lent.
  Result<void> start(std::unique_ptr<RunningVring> running, const virtqueue::RingPosition& position,
                     std::shared_ptr<const EventFd> kick);
  /// Checks where the memory of a started vring is, and moves the state there. Returns whether that is worth an event.
  bool look_at_placement(VringPlacer::Effort effort);
  /// The same before the start; `ready` is the snapshot that the vring would start with.
  bool look_at_placement(const RunningVring& ready, VringPlacer::Effort effort);
  /// The vring is ready to start with this many entries; 0: it no longer is.
  void set_size(std::uint32_t size) noexcept;
  /// Swaps the snapshot of a started vring; its position stays. Errors as start(). When the vring is stuck afterwards,
  /// the caller stops it.
  Result<void> replace(std::unique_ptr<RunningVring> running, std::shared_ptr<const EventFd> kick);
  /// Stops a started vring when the burst in progress has ended. Returns its base (GET_VRING_BASE). Call
  /// loans().settle() until it returns 0 or gives up.
  std::uint32_t stop();
  /// A burst has not ended for VringGate::patience_usual, because the application misuses the vring. What the burst may
  /// use is kept; the vring can be stopped, and is not started, until it has ended.
  bool is_stuck() noexcept { return gate_.is_stuck(); }
  std::optional<ThreadCheck::Misuse> take_misuse() noexcept { return gate_.take_misuse(); }
  /// The first mempool that a burst could not use.
  std::optional<PoolFault> take_pool_fault() noexcept { return pool_report_.take(); }
  /// See VringGate::drain().
  void drain() noexcept { gate_.drain(); }
  /// Wakes a sleeping worker: it must check a ring that has just started (the kick may have come before, or never
  /// come), and its own list of ports when one was closed.
  void wake_waiter();
  VringLoans& loans() noexcept { return loans_; }
  bool started() const noexcept { return gate_.current() != nullptr; }
  /// The current snapshot, null while stopped.
  const RunningVring* running() const noexcept { return gate_.current(); }
  void set_enabled(bool enabled) noexcept { enabled_.store(enabled, std::memory_order_relaxed); }
  /// What the data thread has asked for since the last call.
  Attention take_attention() noexcept;
  /// Valid once take_attention() has returned `broken`; stays until the next start.
  const VringFault& fault() const noexcept { return data_.cursor.fault; }
  /// The next dequeue burst delivers a RARP frame for mac_of(mac) first.
  void announce(std::uint64_t mac) noexcept;
  /// Cancels announce(): its guest is gone.
  void forget_announcement() noexcept;

 private:
  friend class vhostx::Transfer;  // a burst of two halves
  VringCore(std::uint16_t index, const PortOptions& options, const EventFd& attention, const Logger& log);

  [[gnu::noinline]] std::uint16_t dequeue_otherwise(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                                    std::uint16_t count) noexcept;
  [[gnu::noinline]] std::uint16_t dequeue_packed(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                                 std::uint16_t count) noexcept;
  [[gnu::noinline]] std::uint16_t enqueue_packed(const RunningVring& running, rte_mbuf* const* packets,
                                                 std::uint16_t count) noexcept;
  // Of a ring that is disabled, in the other direction, counts sizes, is logged or recorded: others pay nothing
  // for it.
  [[gnu::noinline]] std::uint16_t enqueue_otherwise(const RunningVring& running, rte_mbuf* const* packets,
                                                    std::uint16_t count) noexcept;
  [[gnu::noinline]] std::uint16_t commit_otherwise(const RunningVring* running, rte_mbuf** packets,
                                                   std::uint16_t count) noexcept;
  [[gnu::noinline]] const RunningVring* lender_otherwise(const RunningVring* running) const noexcept;
  [[gnu::noinline]] std::uint16_t dequeue_lending(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                                  std::uint16_t count) noexcept;
  /// What comes while the ring is disabled. Returns 0.
  [[gnu::noinline]] std::uint16_t drop_available(const RunningVring& running) noexcept;
  /// Returns borrowed buffers of a to-guest ring that came back to the driver. Returns whether it wants a call.
  bool return_spares(const RunningVring& running) noexcept;
  const RunningVring* lender(const RunningVring* running) const noexcept;
  /// Whether it takes packets for its guest, counted or not.
  bool takes(const RunningVring& running) const noexcept {
    return running.enabled && !is_from_guest(index_) && !data_.broken();
  }
  /// Returns chains whose mbufs were freed to the driver, for a ring that lends. Returns how many.
  std::uint16_t give_back_returned(const RunningVring& running) noexcept;

  /// Whether finish_burst() has anything to do: seldom.
  bool needs_finish(const net::BurstResult& result) const noexcept { return result.needs_call || data_.broken(); }
  /// Whether a burst can use the pool; where it is not the last one that was good. If not, that is counted, and the
  /// control thread gets the reason.
  [[gnu::noinline]] bool accepts(rte_mempool* pool) noexcept;
  std::optional<bool> choose_notifications(bool on) noexcept;
  bool write_notifications(const RunningVring& running, bool on) noexcept;
  void set_direction(RunningVring& running) const noexcept;
  void show(std::unique_ptr<const RunningVring> running) noexcept;
  std::uint16_t finish_burst(const RunningVring& running, net::BurstResult result) noexcept;
  void call(const RunningVring& running) noexcept;
  void declare_broken(const RunningVring& running) noexcept;
  void raise_attention(std::uint8_t bit) noexcept;
  Result<void> expose_kick(std::shared_ptr<const EventFd> kick);
  Result<void> watch_kick();
  std::uint16_t take_announcement(rte_mempool* pool, rte_mbuf** packets) noexcept;
  std::vector<MemoryArea> state_areas(const RunningVring& running) const;

  // First, for the page of its counters. What follows is in its last page, too.
  [[no_unique_address]] VringDataState data_;
  VringGate gate_;
  const EventFd& attention_;
  const std::uint16_t index_;
  Vring handle_;
  std::uint64_t serial_ = 0;  // control thread
  VringLoans loans_;
  std::unique_ptr<net::SizeCounters> sizes_;  // null without PortOptions::count_sizes
  VringPlacer placer_;
  bool counters_kept_ = false;

  // Seldom written; on a cache line apart from the gate's. Each is one word that depends on no other, so accesses are
  // relaxed. The exception is attention_bits_, which releases the fault.
  alignas(64) std::atomic<std::uint64_t> announcement_{0};  // see mac_of(); bit 63: there is one
  std::atomic<bool> notifications_wanted_{false};           // the last set_notifications()
  std::atomic<bool> calls_held_{false};
  std::atomic<bool> broken_{false};
  std::atomic<bool> enabled_{false};
  std::atomic<bool> started_{false};
  std::atomic<int> kick_fd_{-1};
  std::atomic<std::uint16_t> size_{0};
  std::atomic<std::uint8_t> attention_bits_{0};
  PoolReport pool_report_;

  std::mutex waiter_lock_;  // control thread and watch(); never the data path
  std::shared_ptr<Waiter::State> waiter_;
  std::shared_ptr<const EventFd> kick_;
};

}  // namespace vhostx::backend
