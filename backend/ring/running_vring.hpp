// SPDX-License-Identifier: BSD-3-Clause
// RunningVring: all that a data thread knows of a started vring. Immutable: for a change the control thread builds a
// new one and swaps it in through the gate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/event_fd.hpp"
#include "base/page_memory.hpp"
#include "memory/dirty_log.hpp"
#include "memory/guest_memory.hpp"
#include "net/size_counters.hpp"
#include "virtqueue/any_layout.hpp"
#include "zerocopy/loan_table.hpp"

namespace vhostx::backend {

/// In pages of its own, as all that a data thread reads or writes each burst: NUMA placement moves them.
struct RunningVring : InOwnPages {
  virtqueue::AnyLayout layout;
  std::shared_ptr<const memory::GuestMemory> memory;  ///< Keeps what `layout` points into mapped.
  std::shared_ptr<const zerocopy::DmaMemory> dma;     ///< The same memory for devices; null: nothing is lent.
  std::shared_ptr<const EventFd> call;                ///< Null: the driver polls, or is called in-band.
  std::shared_ptr<const EventFd> err;                 ///< May be null.
  bool call_in_band = false;     ///< INBAND_NOTIFICATIONS without a call fd: the control thread sends VRING_CALL.
  bool enabled = false;          ///< SET_VRING_ENABLE.
  bool is_plain = false;         ///< A split ring that lends nothing. These six: set by VringCore.
  bool dequeues = false;         ///< A split ring, enabled, from the guest, without `sizes` and `marks`.
  bool enqueues = false;         ///< A split ring, enabled, to the guest, without `sizes` and `marks`.
  bool dequeues_packed = false;  ///< These two: the same for a packed ring that lends nothing.
  bool enqueues_packed = false;
  bool marks = false;                    ///< There is a `log` or `inflight`.
  std::uint64_t features = 0;            ///< Negotiated virtio features.
  std::uint32_t frame_max = 0;           ///< Largest frame for the guest that is not segmentation offload, bytes.
  zerocopy::LoanTable* loans = nullptr;  ///< Null: nothing is lent. These two are set by VringLoans.
  zerocopy::MemoryPin* pin = nullptr;    ///< Of `dma`; null without.
  std::shared_ptr<const memory::DirtyLog> log;   ///< Null: writes to guest memory are not logged.
  std::optional<memory::GuestAddress> used_log;  ///< Where writes to the used ring are.
  std::shared_ptr<const EventFd> log_signal;     ///< Signalled after a burst that may have marked pages; null: nobody.
  virtqueue::AnyRecord inflight;                 ///< Of chains in flight.
  net::SizeCounters* sizes = nullptr;            ///< Null: packets are not counted by size. Set by VringCore.
  std::uint64_t serial = 0;                      ///< Unique within its vring, never 0; set by VringCore::run().

  /// Calls the driver. True: the control thread has to, in-band.
  bool calls_in_band() const noexcept {
    if (call == nullptr) return call_in_band;
    call->signal();
    return false;
  }
};

}  // namespace vhostx::backend
