// SPDX-License-Identifier: BSD-3-Clause
// VringGate: where a data thread and the control thread meet. The data side costs two plain stores a burst; the control
// side swaps the snapshot, makes the data side pass a fence, and waits for the burst in progress, which is bounded.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <thread>

#include "backend/heavy_fence.hpp"
#include "backend/running_vring.hpp"

namespace vhostx::backend {

class VringGate {
 public:
  /// A burst's pass through the gate. `running` is null while the vring is stopped, and good until the pass ends.
  class Pass {
   public:
    explicit Pass(VringGate& gate) noexcept : gate_(gate), turn_(gate.turn_.load(std::memory_order_relaxed) + 1) {
      assert(turn_ % 2 == 1 && "two threads use one vring at the same time");
      // Pairs with swap(): either we see the new snapshot, or swap() sees us inside. Both sides store, then load.
      if (gate.heavy_fence_) {
        gate.turn_.store(turn_, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the processor's part is done by swap()
      } else {
        gate.turn_.exchange(turn_, std::memory_order_seq_cst);
      }
      running = gate.running_.load(std::memory_order_seq_cst);
    }
    ~Pass() { gate_.turn_.store(turn_ + 1, std::memory_order_release); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

    const RunningVring* running;

   private:
    VringGate& gate_;
    const std::uint32_t turn_;
  };

  VringGate() = default;
  ~VringGate() { delete running_.load(std::memory_order_relaxed); }
  VringGate(const VringGate&) = delete;
  VringGate& operator=(const VringGate&) = delete;

  /// Control thread. The snapshot before is returned when no burst uses it any more.
  std::unique_ptr<const RunningVring> swap(std::unique_ptr<const RunningVring> next) noexcept {
    std::unique_ptr<const RunningVring> before(running_.exchange(next.release(), std::memory_order_seq_cst));
    if (before == nullptr) return before;
    if (heavy_fence_) heavy_fence();
    // Odd: a burst is inside, perhaps with `before`. Any burst after that one sees `next`.
    const std::uint32_t turn = turn_.load(std::memory_order_seq_cst);
    while (turn % 2 == 1 && turn_.load(std::memory_order_acquire) == turn) std::this_thread::yield();
    return before;
  }

  /// Control thread only: it alone changes the snapshot.
  const RunningVring* current() const noexcept { return running_.load(std::memory_order_relaxed); }

 private:
  // Written by the data thread each burst; what the control thread writes is on another line.
  alignas(64) std::atomic<std::uint32_t> turn_{0};
  alignas(64) std::atomic<const RunningVring*> running_{nullptr};
  const bool heavy_fence_ = enable_heavy_fence();
};

}  // namespace vhostx::backend
