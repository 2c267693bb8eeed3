// SPDX-License-Identifier: BSD-3-Clause
// VringGate: where a data thread and the control thread meet. The data side costs one locked store a burst; the control
// side swaps the snapshot and waits for the burst in progress, which is bounded.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <thread>

#include "backend/running_vring.hpp"

namespace vhostx::backend {

class VringGate {
 public:
  /// A burst's pass through the gate. `running` is null while the vring is stopped, and good until the pass ends.
  class Pass {
   public:
    explicit Pass(VringGate& gate) noexcept : gate_(gate) {
      // Pairs with swap(): either we see the new snapshot, or swap() sees us inside. Both sides store, then load.
      [[maybe_unused]] const bool was_inside = gate.inside_.exchange(true, std::memory_order_seq_cst);
      assert(!was_inside && "two threads use one vring at the same time");
      running = gate.running_.load(std::memory_order_seq_cst);
    }
    ~Pass() { gate_.inside_.store(false, std::memory_order_release); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

    const RunningVring* running;

   private:
    VringGate& gate_;
  };

  VringGate() = default;
  ~VringGate() { delete running_.load(std::memory_order_relaxed); }
  VringGate(const VringGate&) = delete;
  VringGate& operator=(const VringGate&) = delete;

  /// Control thread. The snapshot before is returned when no burst uses it any more.
  std::unique_ptr<const RunningVring> swap(std::unique_ptr<const RunningVring> next) noexcept {
    std::unique_ptr<const RunningVring> before(running_.exchange(next.release(), std::memory_order_seq_cst));
    // A burst that begins from here on sees `next`; seeing one end is enough.
    while (inside_.load(std::memory_order_seq_cst) && before != nullptr) std::this_thread::yield();
    return before;
  }

  /// Control thread only: it alone changes the snapshot.
  const RunningVring* current() const noexcept { return running_.load(std::memory_order_relaxed); }

 private:
  // Written by the data thread each burst; what the control thread writes is on another line.
  alignas(64) std::atomic<bool> inside_{false};
  alignas(64) std::atomic<const RunningVring*> running_{nullptr};
};

}  // namespace vhostx::backend
