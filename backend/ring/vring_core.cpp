// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/vring_core.hpp"

#include <new>
#include <utility>

#include "backend/ring/waiter_state.hpp"
#include "base/error.hpp"
#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "net/rarp.hpp"
#include "zerocopy/borrow.hpp"
#include "zerocopy/dequeue.hpp"

namespace vhostx::backend {
namespace {

constexpr std::uint8_t attention_broken = 1;
constexpr std::uint8_t attention_call = 2;
constexpr std::uint64_t announcement_set = std::uint64_t{1} << 63;
constexpr std::uint64_t mac_bits = (std::uint64_t{1} << 48) - 1;

// For objects in pages of their own.
template <typename T>
MemoryArea area_of(const T& object) noexcept {
  return {reinterpret_cast<std::uintptr_t>(&object), whole_pages(sizeof object)};
}

// The pages that belong to a snapshot.
std::vector<MemoryArea> snapshot_areas(const RunningVring& running) {
  std::vector<MemoryArea> areas{area_of(running)};
  if (running.pin != nullptr) areas.push_back(area_of(*running.pin));
  return areas;
}

void report_long_wait(const Logger& log, std::uint16_t index) {
  log.warning(
      "vring {}: the control thread has waited {} ms for a burst of the application to end, and serves no port "
      "meanwhile. Likely causes: the thread in the burst has no CPU, or is stopped; Transfer::begin() without "
      "end(); two threads in one vring at a time",
      index, VringGate::long_wait.count());
}

}  // namespace

Result<std::unique_ptr<VringCore>> VringCore::create(std::uint16_t index, const PortOptions& options,
                                                     const EventFd& attention, const Logger& log) {
  std::unique_ptr<VringCore> core(new (std::nothrow) VringCore(index, options, attention, log));
  if (core == nullptr) return make_system_error(ENOMEM, "memory for vring {}", index);
  if (!options.count_sizes) return core;
  core->sizes_.reset(new (std::nothrow) net::SizeCounters);
  if (core->sizes_ == nullptr) return make_system_error(ENOMEM, "memory for counters of vring {}", index);
  return core;
}

VringCore::VringCore(std::uint16_t index, const PortOptions& options, const EventFd& attention, const Logger& log)
    : gate_(VringGate::patience_usual,
            {[&log, index] { report_long_wait(log, index); }, [&attention] { attention.signal(); }}),
      attention_(attention),
      index_(index),
      handle_(*this),
      loans_(options, index, data_),
      placer_(options, numa::kernel()) {}

VringCore::~VringCore() {
  static_cast<void>(expose_kick(nullptr));
  if (counters_kept_) CounterPages::release(data_.counters);
}

// ---- data thread ----

std::uint16_t VringCore::dequeue_burst(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  VringGate::Pass pass(gate_);
  const RunningVring* running = pass.running;
  if (running == nullptr || data_.broken()) return 0;
  const bool announcing = announcement_.load(std::memory_order_relaxed) != 0;
  if (!announcing && running->is_plain && virtqueue::is_idle(running->layout.split, data_.cursor)) return 0;
  if (announcing || !running->dequeues || pool != data_.pool) [[unlikely]]
    return running->dequeues_packed ? dequeue_packed(*running, pool, packets, count)
                                    : dequeue_otherwise(*running, pool, packets, count);
  if (running->loans != nullptr) return dequeue_lending(*running, pool, packets, count);
  const auto result = net::dequeue(context_of(*running, data_), pool, packets, count);
  return needs_finish(result) ? finish_burst(*running, result) : result.packets;
}

std::uint16_t VringCore::dequeue_lending(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                         std::uint16_t count) noexcept {
  if (running.pin == nullptr) [[unlikely]]
    return dequeue_otherwise(running, pool, packets, count);
  const auto result =
      zerocopy::dequeue(context_of(running, data_), {*running.loans, *running.pin}, pool, packets, count);
  return needs_finish(result) ? finish_burst(running, result) : result.packets;
}

std::uint16_t VringCore::dequeue_packed(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                        std::uint16_t count) noexcept {
  const bool announcing = announcement_.load(std::memory_order_relaxed) != 0;
  if (!announcing && virtqueue::is_idle(running.layout.packed, data_.cursor)) return 0;
  if (announcing || pool != data_.pool) [[unlikely]]
    return dequeue_otherwise(running, pool, packets, count);
  const auto result = net::dequeue(packed_context_of(running, data_), pool, packets, count);
  return needs_finish(result) ? finish_burst(running, result) : result.packets;
}

std::uint16_t VringCore::enqueue_packed(const RunningVring& running, rte_mbuf* const* packets,
                                        std::uint16_t count) noexcept {
  if (count == 0 || data_.broken()) return 0;
  const auto result = net::enqueue(packed_context_of(running, data_), packets, count);
  return needs_finish(result) ? finish_burst(running, result) : result.packets;
}

// For a ring that is disabled, is to the guest, has an announcement to deliver, may not lend now, counts
// sizes, is logged or recorded; and for a pool other than that of the last burst.
std::uint16_t VringCore::dequeue_otherwise(const RunningVring& running, rte_mempool* pool, rte_mbuf** packets,
                                           std::uint16_t count) noexcept {
  if (!is_from_guest(index_)) return 0;
  if (running.loans != nullptr) give_back_returned(running);
  if (!running.enabled) return drop_available(running);
  const bool announcing = count != 0 && announcement_.load(std::memory_order_relaxed) != 0;
  if (!announcing && virtqueue::is_idle(running.layout, data_.cursor)) return 0;
  if (pool != data_.pool && !accepts(pool)) return 0;
  const std::uint16_t announced = announcing ? take_announcement(pool, packets) : std::uint16_t{0};
  const auto left = static_cast<std::uint16_t>(count - announced);
  const auto result = with_context(running, data_, [&](const auto& context) {
    if (running.pin == nullptr) return net::dequeue(context, pool, packets + announced, left);
    return zerocopy::dequeue(context, {*running.loans, *running.pin}, pool, packets + announced, left);
  });
  if (running.sizes != nullptr) running.sizes->count({packets + announced, result.packets});
  if (needs_finish(result)) finish_burst(running, result);
  return static_cast<std::uint16_t>(result.packets + announced);
}

std::uint16_t VringCore::drop_available(const RunningVring& running) noexcept {
  finish_burst(running, with_context(running, data_, [](const auto& context) { return net::drop_available(context); }));
  return 0;
}

std::uint16_t VringCore::enqueue_burst(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  VringGate::Pass pass(gate_);
  const RunningVring* running = pass.running;
  if (running == nullptr) return 0;
  if (!running->enqueues) [[unlikely]]
    return running->enqueues_packed ? enqueue_packed(*running, packets, count)
                                    : enqueue_otherwise(*running, packets, count);
  if (count == 0 || data_.broken()) return 0;
  const net::SplitContext context = context_of(*running, data_);
  auto result = net::enqueue(context, packets, count);
  // Returns buffers that were borrowed and came back untouched; the driver posts them again.
  if (running->loans != nullptr && result.packets < count) [[unlikely]]
    result.needs_call |= return_spares(*running);
  return needs_finish(result) ? finish_burst(*running, result) : result.packets;
}

bool VringCore::return_spares(const RunningVring& running) noexcept {
  return with_context(running, data_,
                      [&running](const auto& context) { return zerocopy::return_spares(context, *running.loans); })
      .needs_call;
}

std::uint16_t VringCore::borrow_burst(rte_mempool* pool, rte_mbuf** buffers, std::uint16_t count) noexcept {
  VringGate::Pass pass(gate_);
  const RunningVring* running = lender(pass.running);
  if (running == nullptr) [[unlikely]] {
    running = lender_otherwise(pass.running);
    if (running != nullptr && running->log != nullptr) return 0;  // a packet that is copied is marked at once
  }
  if (running == nullptr || (pool != data_.pool && !accepts(pool))) return 0;
  const auto borrow = [&](const auto& context) {
    return zerocopy::borrow(context, {*running->loans, *running->pin}, pool, buffers, count);
  };
  const auto result = running->enqueues ? borrow(context_of(*running, data_)) : with_context(*running, data_, borrow);
  return needs_finish(result) ? finish_burst(*running, result) : result.packets;
}

std::uint16_t VringCore::commit_burst(rte_mbuf** packets, std::uint16_t count) noexcept {
  VringGate::Pass pass(gate_);
  const RunningVring* running = lender(pass.running);
  if (running == nullptr) [[unlikely]]
    return commit_otherwise(pass.running, packets, count);
  const auto result = zerocopy::commit(context_of(*running, data_), {*running->loans, *running->pin}, packets, count);
  return needs_finish(result) ? finish_burst(*running, result) : result.packets;
}

// Null unless this is a to-guest ring whose buffers may be borrowed now, and that does not count sizes.
const RunningVring* VringCore::lender(const RunningVring* running) const noexcept {
  if (running == nullptr || !running->enqueues || running->pin == nullptr || data_.broken()) return nullptr;
  return running;
}

std::uint16_t VringCore::poll_completions() noexcept {
  VringGate::Pass pass(gate_);
  const RunningVring* running = pass.running;
  if (running == nullptr || running->loans == nullptr || data_.broken()) return 0;
  return give_back_returned(*running);
}

std::uint16_t VringCore::give_back_returned(const RunningVring& running) noexcept {
  const bool from_guest = is_from_guest(index_);
  if (from_guest && !running.loans->has_returns()) return 0;
  const auto result = with_context(running, data_, [&](const auto& context) {
    return from_guest ? zerocopy::return_transmitted(context, *running.loans)
                      : zerocopy::keep_returned(context, *running.loans);
  });
  return needs_finish(result) ? finish_burst(running, result) : result.packets;
}

bool VringCore::set_notifications(bool on) noexcept {
  notifications_wanted_.store(on, std::memory_order_relaxed);
  if (const auto waiting = choose_notifications(on)) return *waiting;
  // Pairs with the fence in show(): if show() has not published the ring to us, it sees notifications_wanted_.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return choose_notifications(on).value_or(false);
}

// Nullopt: the ring is stopped.
std::optional<bool> VringCore::choose_notifications(bool on) noexcept {
  VringGate::Pass pass(gate_);
  if (pass.running == nullptr) return std::nullopt;
  // A broken ring moves nothing more: entries that stay in it must not keep a worker awake.
  if (data_.broken()) {
    data_.cursor.position.notifications = on;
    return false;
  }
  return write_notifications(*pass.running, on);
}

bool VringCore::write_notifications(const RunningVring& running, bool on) noexcept {
  return with_context(running, data_, [on](const auto& context) {
    return virtqueue::set_notifications(context.layout, context.cursor, on, net::marks_of(context));
  });
}

// If the index is out of range, the next burst finds the fault.
std::uint16_t VringCore::pending() noexcept {
  VringGate::Pass pass(gate_);
  if (pass.running == nullptr || data_.broken()) return 0;
  return virtqueue::pending(pass.running->layout, data_.cursor);
}

EnqueueEnd VringCore::enqueue_end() noexcept {
  VringGate::Pass pass(gate_);
  return pass.running != nullptr && takes(*pass.running) ? data_.cursor.enqueue_end : EnqueueEnd::not_running;
}

AvailWatch VringCore::avail_watch() noexcept {
  VringGate::Pass pass(gate_);
  if (pass.running == nullptr || data_.broken()) return {};
  const auto [address, value] = virtqueue::watch(pass.running->layout, data_.cursor);
  return {address, value};
}

// Returns result.packets: a burst keeps nothing over this call, and an idle one saves a register less.
std::uint16_t VringCore::finish_burst(const RunningVring& running, net::BurstResult result) noexcept {
  if (result.needs_call) {
    data_.counters.add(VringCounter::calls, 1);
    if (!calls_held_.load(std::memory_order_relaxed)) call(running);
  }
  if (data_.broken()) [[unlikely]]
    declare_broken(running);
  return result.packets;
}

void VringCore::call(const RunningVring& running) noexcept {
  if (running.calls_in_band()) raise_attention(attention_call);
}

bool VringCore::call_guest() noexcept {
  VringGate::Pass pass(gate_);
  if (pass.running == nullptr) return false;
  call(*pass.running);
  return true;
}

void VringCore::declare_broken(const RunningVring& running) noexcept {
  data_.counters.add(VringCounter::broken, 1);
  broken_.store(true, std::memory_order_relaxed);
  if (running.err != nullptr) running.err->signal();
  raise_attention(attention_broken);
}

// Signals only if the bit was clear: the control thread has not looked since, so no second system call is needed.
// Releases the fault to take_attention(), even if the bit was set: the exchange that clears it comes later.
void VringCore::raise_attention(std::uint8_t bit) noexcept {
  if ((attention_bits_.fetch_or(bit, std::memory_order_release) & bit) == 0) attention_.signal();
}

bool VringCore::accepts(rte_mempool* pool) noexcept {
  const PoolFault fault = check_pool(pool, is_from_guest(index_));
  if (fault.cause == PoolFault::Cause::none) {
    data_.pool = pool;
    return true;
  }
  data_.counters.add(VringCounter::stall_bad_pool, 1);
  if (pool_report_.put(fault)) attention_.signal();
  return false;
}

std::uint16_t VringCore::take_announcement(rte_mempool* pool, rte_mbuf** packets) noexcept {
  const std::uint64_t value = announcement_.exchange(0, std::memory_order_relaxed);
  packets[0] = net::make_rarp(pool, mac_of(value));
  if (packets[0] != nullptr) return 1;
  announcement_.store(value, std::memory_order_relaxed);  // the pool is empty: try again later
  return 0;
}

// ---- any thread ----

VringState VringCore::state() const noexcept {
  return {started_.load(std::memory_order_relaxed), enabled_.load(std::memory_order_relaxed),
          broken_.load(std::memory_order_relaxed)};
}

VringStats VringCore::stats() const noexcept { return data_.counters.snapshot(); }

Result<void> VringCore::watch(std::shared_ptr<Waiter::State> waiter) {
  const std::lock_guard lock(waiter_lock_);
  if (waiter_ != nullptr && kick_ != nullptr) waiter_->remove(kick_->get());
  waiter_ = std::move(waiter);
  return watch_kick();
}

void VringCore::unwatch(const Waiter::State& waiter) noexcept {
  const std::lock_guard lock(waiter_lock_);
  if (waiter_.get() != &waiter) return;
  if (kick_ != nullptr) waiter_->remove(kick_->get());
  waiter_ = nullptr;
}

// ---- control thread ----

Result<void> VringCore::keep_counters(const CounterPages& pages) {
  auto shown = pages.show_in(data_.counters, index_);
  counters_kept_ |= shown.ok();
  return shown;
}

Result<void> VringCore::start(std::unique_ptr<RunningVring> running, const virtqueue::RingPosition& position,
                              std::shared_ptr<const EventFd> kick) {
  data_.cursor = {.position = position};  // no other thread uses it while the gate is shut
  data_.pool = &data_;                    // the application may have made another one in its place
  running->serial = ++serial_;
  auto lends = loans_.begin(*running);
  set_direction(*running);
  broken_.store(false, std::memory_order_relaxed);
  attention_bits_.store(0, std::memory_order_relaxed);
  show(std::move(running));
  started_.store(true, std::memory_order_relaxed);
  auto watched = expose_kick(std::move(kick));
  wake_waiter();
  return watched.ok() ? lends : watched;
}

// What bursts would otherwise ask in two steps.
void VringCore::set_direction(RunningVring& running) const noexcept {
  const bool from_guest = is_from_guest(index_);
  running.sizes = sizes_.get();
  running.marks = running.log != nullptr || running.inflight;
  const bool split = running.layout.kind == virtqueue::RingKind::split;
  const bool straight = split && running.enabled && sizes_ == nullptr && !running.marks;
  running.is_plain = split && running.loans == nullptr;
  const bool packed = !split && running.enabled && sizes_ == nullptr && !running.marks && running.loans == nullptr;
  running.dequeues_packed = packed && from_guest;
  running.enqueues_packed = packed && !from_guest;
  running.dequeues = straight && from_guest;
  running.enqueues = straight && !from_guest;
}

// A thread that does not see the ring yet may change notifications_wanted_ while the ring is published. Then the ring
// is set up once more with the gate shut. If a thread keeps changing it, one of its later values holds
// (vring_start_order.pml). If a burst that came in meanwhile does not end, nothing is published.
void VringCore::show(std::unique_ptr<const RunningVring> running) noexcept {
  constexpr int tries = 8;
  for (int i = 0; running != nullptr && i < tries; ++i) {
    const bool wanted = notifications_wanted_.load(std::memory_order_relaxed);
    write_notifications(*running, wanted);
    gate_.swap(std::move(running));
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (notifications_wanted_.load(std::memory_order_relaxed) == wanted || i + 1 == tries) return;
    running = gate_.swap(nullptr);
  }
}

Result<void> VringCore::replace(std::unique_ptr<RunningVring> running, std::shared_ptr<const EventFd> kick) {
  if (gate_.is_stuck()) return {};
  running->serial = ++serial_;
  loans_.follow(*running);
  set_direction(*running);
  placer_.move_later_pages(snapshot_areas(*running));
  gate_.swap(std::move(running));
  return expose_kick(std::move(kick));
}

std::uint32_t VringCore::stop() {
  const auto kind = gate_.current()->layout.kind;
  loans_.stop(gate_.swap(nullptr));
  started_.store(false, std::memory_order_relaxed);
  placer_.forget();
  static_cast<void>(expose_kick(nullptr));
  return virtqueue::base_of(kind, data_.cursor.position);
}

bool VringCore::look_at_placement(VringPlacer::Effort effort) {
  const RunningVring* const running = gate_.current();
  return running != nullptr && placer_.look(*running, state_areas(*running), effort);
}

bool VringCore::look_at_placement(const RunningVring& ready, VringPlacer::Effort effort) {
  const std::array<MemoryArea, 1> state{area_of(*this)};
  return placer_.look(ready, state, effort);
}

void VringCore::set_size(std::uint32_t size) noexcept {
  size_.store(static_cast<std::uint16_t>(size), std::memory_order_relaxed);
  if (size == 0) placer_.forget();
}

std::vector<MemoryArea> VringCore::state_areas(const RunningVring& running) const {
  std::vector<MemoryArea> areas{area_of(*this), area_of(running)};
  if (running.loans != nullptr) running.loans->add_areas(areas);
  if (running.sizes != nullptr) areas.push_back(area_of(*running.sizes));
  if (running.inflight.split != nullptr) areas.push_back(area_of(*running.inflight.split));
  if (running.inflight.packed != nullptr) areas.push_back(area_of(*running.inflight.packed));
  if (const auto& asides = running.layout.packed.asides; asides != nullptr)
    areas.push_back({reinterpret_cast<std::uintptr_t>(asides->data()),
                     whole_pages(asides->size() * sizeof(virtqueue::PackedAside))});
  return areas;
}

VringCore::Attention VringCore::take_attention() noexcept {
  const std::uint8_t bits = attention_bits_.exchange(0, std::memory_order_acquire);
  return {.broken = (bits & attention_broken) != 0, .call_in_band = (bits & attention_call) != 0};
}

void VringCore::announce(std::uint64_t mac) noexcept {
  announcement_.store((mac & mac_bits) | announcement_set, std::memory_order_relaxed);
}

void VringCore::forget_announcement() noexcept { announcement_.store(0, std::memory_order_relaxed); }

// The waiter drops the old descriptor before it is closed, because its number may be reused at once.
Result<void> VringCore::expose_kick(std::shared_ptr<const EventFd> kick) {
  const std::lock_guard lock(waiter_lock_);
  if (kick == kick_) return {};
  if (waiter_ != nullptr && kick_ != nullptr) waiter_->remove(kick_->get());
  kick_fd_.store(kick != nullptr ? kick->get() : -1, std::memory_order_relaxed);
  kick_ = std::move(kick);
  return watch_kick();
}

Result<void> VringCore::watch_kick() {
  if (waiter_ == nullptr || kick_ == nullptr) return {};
  return waiter_->add(kick_->get());
}

void VringCore::wake_waiter() {
  const std::lock_guard lock(waiter_lock_);
  if (waiter_ != nullptr) waiter_->wake();
}

}  // namespace vhostx::backend
