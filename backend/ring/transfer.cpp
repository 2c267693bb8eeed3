// SPDX-License-Identifier: BSD-3-Clause
// Transfer: two gates around net/'s peek(), move() and give_back().
#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <new>
#include <optional>

#include <vhostx/transfer.hpp>

#include "backend/ring/vring_core.hpp"
#include "base/error.hpp"
#include "base/page_memory.hpp"
#include "net/dequeue.hpp"
#include "net/move.hpp"
#include "net/peek.hpp"
#include "net/peeked_burst.hpp"
#include "net/rarp.hpp"

namespace vhostx {

using backend::RunningVring;
using backend::VringCore;
using backend::VringGate;

namespace {

/// Transfer::State::announcement of a burst that is none, but whose packets are counted by size, or whose ring is
/// packed or logged. No announcement has this value: theirs have bit 63.
constexpr std::uint64_t otherwise = 1;

}  // namespace

/// In pages of its own, so that they are on the node of the thread that first writes them. Memory from malloc() may
/// have been used by another thread.
struct Transfer::State : InOwnPages {
  std::optional<VringGate::Pass> pass;  // from begin() to end()
  VringCore* from = nullptr;
  std::optional<net::SplitContext> context;  // of `from`
  std::uint64_t announcement = 0;            // not 0: the burst is this announcement, or `otherwise`
  net::PeekedBurst burst;
  std::array<net::SizeClass, burst_max> classes;  // of `burst` as it was found, where they are counted

  // Inline, because a burst of one packet costs little more than the calls around it.
  /// Returns how many packets it found; with 0 the caller ends the pass.
  [[gnu::always_inline]] std::uint16_t peek(VringCore& core, std::uint16_t count) noexcept;
  [[gnu::always_inline]] void give_back(std::uint16_t taken) noexcept;
  [[gnu::always_inline]] std::uint16_t find(VringCore& core, const RunningVring& running, std::uint16_t count) noexcept;
  /// Of a ring that lends, or is packed. Returns whether it is split.
  [[gnu::noinline]] static bool give_back_returned(VringCore& core, const RunningVring& running) noexcept;
  [[gnu::noinline]] std::uint16_t announce() noexcept;
  // Of rings that are packed, disabled, count sizes or are logged, so that the others pay for none of it.
  [[gnu::noinline]] std::uint16_t peek_otherwise(VringCore& core, const RunningVring& running,
                                                 std::uint16_t count) noexcept;
  [[gnu::noinline]] std::uint16_t move_otherwise(VringCore& core, const RunningVring& running,
                                                 const std::uint8_t* which, std::uint16_t count) noexcept;
  [[gnu::noinline]] void give_back_otherwise(std::uint16_t taken) noexcept;
};

Transfer::Transfer(State* state) noexcept : state_(state), packets_(state->burst.packets.data()) {}

Transfer::~Transfer() {
  assert(!state_->pass && "a burst has begun and not ended");
  delete state_;
}

Result<std::unique_ptr<Transfer>> Transfer::create() noexcept {
  std::unique_ptr<State> state(new (std::nothrow) State);
  if (state == nullptr) return make_system_error(ENOMEM, "memory for a transfer");
  std::unique_ptr<Transfer> transfer(new (std::nothrow) Transfer(state.get()));
  if (transfer == nullptr) return make_system_error(ENOMEM, "memory for a transfer");
  static_cast<void>(state.release());  // it is the transfer's
  return transfer;
}

inline std::uint16_t Transfer::State::peek(VringCore& core, std::uint16_t count) noexcept {
  const RunningVring* running = pass->running;
  if (running == nullptr || !is_from_guest(core.index_) || core.data_.broken()) return 0;
  const bool split = running->is_plain || give_back_returned(core, *running);
  announcement = core.announcement_.load(std::memory_order_relaxed);
  if (announcement == 0 && split && virtqueue::is_idle(running->layout.split, core.data_.cursor)) return 0;
  from = &core;
  if (!running->dequeues) [[unlikely]]
    return peek_otherwise(core, *running, count);
  if (announcement != 0) [[unlikely]]
    return count == 0 ? std::uint16_t{0} : announce();
  return find(core, *running, count);
}

bool Transfer::State::give_back_returned(VringCore& core, const RunningVring& running) noexcept {
  if (running.loans != nullptr) core.give_back_returned(running);
  return running.layout.kind == virtqueue::RingKind::split;
}

inline std::uint16_t Transfer::State::find(VringCore& core, const RunningVring& running, std::uint16_t count) noexcept {
  context.emplace(backend::context_of(running, core.data_));
  const auto result = net::peek(*context, count, burst);
  if (core.needs_finish(result)) [[unlikely]]
    core.finish_burst(running, result);
  return result.packets;
}

std::uint16_t Transfer::State::peek_otherwise(VringCore& core, const RunningVring& running,
                                              std::uint16_t count) noexcept {
  if (!running.enabled) return core.drop_available(running);
  if (announcement != 0) return count == 0 ? std::uint16_t{0} : announce();
  const auto result =
      backend::with_context(running, core.data_, [&](const auto& ring) { return net::peek(ring, count, burst); });
  if (core.needs_finish(result)) core.finish_burst(running, result);
  for (std::uint16_t i = 0; running.sizes != nullptr && i < result.packets; ++i)
    classes[i] = net::size_class_of(burst.packets[i]);
  announcement = otherwise;
  return result.packets;
}

/// The RARP frame that SEND_RARP asked for, as the only packet of a burst.
std::uint16_t Transfer::State::announce() noexcept {
  burst.clear();
  std::uint8_t* const head = burst.short_heads[0].bytes;
  net::write_rarp(head, backend::mac_of(announcement));
  burst.packets[0] = {head, net::rarp_frame_bytes, net::rarp_frame_bytes};
  burst.rests[0] = head;
  burst.count = 1;
  return 1;
}

std::uint16_t Transfer::begin(Vring& from, std::uint16_t count) noexcept {
  assert(!state_->pass && "the burst before was not ended");
  VringCore& core = VringCore::of(from);
  state_->pass.emplace(core.gate_);
  const std::uint16_t found = state_->peek(core, count);
  if (found == 0) state_->pass.reset();
  return found;
}

std::uint16_t Transfer::move(const std::uint8_t* which, std::uint16_t count, Vring& to) noexcept {
  assert(state_->pass && "no burst has begun");
  assert(std::all_of(which, which + count, [this](std::uint8_t i) { return i < state_->burst.count; }));
  VringCore& core = VringCore::of(to);
  VringGate::Pass pass(core.gate_);
  const RunningVring* running = pass.running;
  if (running == nullptr) return 0;
  if (!running->enqueues) [[unlikely]]
    return state_->move_otherwise(core, *running, which, count);
  if (count == 0 || core.data_.broken()) return 0;
  auto result = net::move(backend::context_of(*running, core.data_), state_->burst, which, count);
  if (running->loans != nullptr && result.packets < count) [[unlikely]]
    result.needs_call |= core.return_spares(*running);
  if (core.needs_finish(result)) core.finish_burst(*running, result);
  return result.packets;
}

std::uint16_t Transfer::State::move_otherwise(VringCore& core, const RunningVring& running, const std::uint8_t* which,
                                              std::uint16_t count) noexcept {
  if (!core.takes(running) || count == 0) return 0;
  auto result = backend::with_context(running, core.data_,
                                      [&](const auto& ring) { return net::move(ring, burst, which, count); });
  if (running.loans != nullptr && result.packets < count) result.needs_call |= core.return_spares(running);
  for (std::uint16_t i = 0; running.sizes != nullptr && i < result.packets; ++i)
    running.sizes->count(net::size_class_of(burst.packets[which[i]]));
  if (core.needs_finish(result)) core.finish_burst(running, result);
  return result.packets;
}

rte_mbuf* Transfer::copy(std::uint16_t i, rte_mempool* pool) noexcept {
  assert(state_->pass && i < state_->burst.count);
  VringCore& from = *state_->from;
  if (pool != from.data_.pool && !from.accepts(pool)) return nullptr;
  rte_mbuf* const packet = net::copy_out(state_->burst, i, pool);
  if (packet == nullptr) from.data_.counters.add(VringCounter::stall_no_mbuf, 1);
  return packet;
}

inline void Transfer::State::give_back(std::uint16_t taken) noexcept {
  if (announcement != 0) [[unlikely]]
    return give_back_otherwise(taken);
  const auto result = net::give_back(*context, burst, taken);
  if (from->needs_finish(result)) from->finish_burst(*pass->running, result);
}

void Transfer::State::give_back_otherwise(std::uint16_t taken) noexcept {
  if (announcement != otherwise) {
    // Unless another one has come meanwhile.
    from->announcement_.compare_exchange_strong(announcement, 0, std::memory_order_relaxed);
    return;
  }
  const RunningVring& running = *pass->running;
  for (std::uint16_t i = 0; running.sizes != nullptr && i < taken; ++i) running.sizes->count(classes[i]);
  const auto result =
      backend::with_context(running, from->data_, [&](const auto& ring) { return net::give_back(ring, burst, taken); });
  if (from->needs_finish(result)) from->finish_burst(running, result);
}

void Transfer::end(std::uint16_t taken) noexcept {
  assert(state_->pass && "no burst has begun");
  assert(taken <= state_->burst.count);
  if (taken != 0) state_->give_back(taken);
  state_->pass.reset();
}

}  // namespace vhostx
