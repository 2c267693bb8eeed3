// SPDX-License-Identifier: BSD-3-Clause
// VringGate: where a data thread and the control thread meet. The data side costs two plain stores a burst. The control
// side swaps the snapshot, makes the data side pass a fence, and waits for the burst in progress. An application that
// misuses a vring can make a burst last for ever. The control side then stops waiting and keeps what the burst uses.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "backend/ring/heavy_fence.hpp"
#include "backend/ring/running_vring.hpp"
#include "backend/ring/thread_check.hpp"

namespace vhostx::backend {

class VringGate {
 public:
  /// A burst's pass through the gate. `running` is null while the vring is stopped, and valid until the pass ends.
  class Pass {
   public:
    explicit Pass(VringGate& gate) noexcept : gate_(gate) {
      if constexpr (checks_threads)
        if (!gate.enter()) return;
      assert(gate.turn_.load(std::memory_order_relaxed) % 2 == 0 && "two threads use one vring at the same time");
      turn_ = gate.turn_.load(std::memory_order_relaxed) | 1;
      // Pairs with swap(): either we see the new snapshot, or swap() sees us inside. Both sides store, then load.
      if (gate.heavy_fence_) {
        // Release, for the burst before: await_end() may miss its even number and find this one. The exchange below
        // carries that number's release on; a relaxed store does not (C++20, release sequences; vring_gate_order.pml).
        gate.turn_.store(turn_, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // compiler only; swap() makes the real fence
      } else {
        gate.turn_.exchange(turn_, std::memory_order_seq_cst);
      }
      running = gate.running_.load(std::memory_order_seq_cst);
    }
    // Pairs with swap()'s and await_end()'s loads: all that the burst did comes before what the control thread does
    // next.
    ~Pass() {
      if constexpr (checks_threads)
        if (turn_ == 0) return;
      gate_.turn_.store(turn_ + 1, std::memory_order_release);
      if constexpr (checks_threads) gate_.threads_.leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

    const RunningVring* running = nullptr;

   private:
    VringGate& gate_;
    // Made odd by `| 1` and not by `+ 1`: each burst leaves an even number. So even after two threads were inside at
    // once (misuse), the number is even when both have left, and no thread waits for ever.
    std::uint32_t turn_ = 0;  // 0: another thread is inside
  };

  /// Hundreds of a scheduler's time slices: only a burst that does not end at all takes that long.
  static constexpr std::chrono::milliseconds patience_usual{5000};
  /// After so long a wait the application's developer should be told why nothing happens.
  static constexpr std::chrono::milliseconds long_wait{1000};

  struct Handlers {
    std::function<void()> long_wait;  ///< Control thread: once in each wait of more than `long_wait`.
    std::function<void()> misuse;     ///< Data thread: take_misuse() has something.
  };
  explicit VringGate(std::chrono::milliseconds patience = patience_usual, Handlers handlers = {}) noexcept
      : patience_(patience), handlers_(std::move(handlers)) {}
  ~VringGate();
  VringGate(const VringGate&) = delete;
  VringGate& operator=(const VringGate&) = delete;

  /// Control thread. Returns the former snapshot once no burst uses it. Returns null if a burst has not ended for
  /// `patience`; then is_stuck() is true. Meanwhile a snapshot may only be swapped for null, which does not wait.
  std::unique_ptr<const RunningVring> swap(std::unique_ptr<const RunningVring> next) noexcept {
    // Its release pairs with a pass's load: the snapshot, and the cursor that start() has set, are written by then.
    std::unique_ptr<const RunningVring> before(running_.exchange(next.release(), std::memory_order_seq_cst));
    if (before == nullptr) return before;
    if (heavy_fence_) heavy_fence();
    // Odd: a burst is inside, perhaps with `before`. Any burst after that one sees `next`.
    const std::uint32_t turn = turn_.load(std::memory_order_seq_cst);
    if (turn % 2 == 1 && !await_end(turn)) keep(std::move(before), turn);
    return before;
  }

  /// Control thread. True: a burst for which swap() stopped waiting is still inside. What it may use is kept, and the
  /// destructor never frees it. False again when the burst has ended.
  bool is_stuck() noexcept;

  /// Control thread. Waits for the burst in progress, even one that began with the gate shut. Afterwards the gate may
  /// be destroyed, unless is_stuck(). No burst may begin meanwhile.
  void drain() noexcept;

  /// Control thread. With VHOSTX_CHECK_THREADS: the first two threads that were inside at once.
  std::optional<ThreadCheck::Misuse> take_misuse() noexcept { return threads_.take_misuse(); }

  /// Control thread only: it alone changes the snapshot.
  const RunningVring* current() const noexcept { return running_.load(std::memory_order_relaxed); }

 private:
  bool enter() noexcept;
  bool await_end(std::uint32_t turn) noexcept;
  void keep(std::unique_ptr<const RunningVring> before, std::uint32_t turn) noexcept;

  // Written by the data thread each burst; the control thread writes to another cache line.
  alignas(64) std::atomic<std::uint32_t> turn_{0};
  alignas(64) std::atomic<const RunningVring*> running_{nullptr};
  const bool heavy_fence_ = enable_heavy_fence();
  const std::chrono::milliseconds patience_;
  const Handlers handlers_;
  ThreadCheck threads_;
  std::uint32_t stuck_turn_ = 0;  // of the burst that did not end; 0: there is none
  // Kept for that burst: the snapshot that it began with, and the later one that was swapped for null.
  std::array<std::unique_ptr<const RunningVring>, 2> kept_;
};

}  // namespace vhostx::backend
