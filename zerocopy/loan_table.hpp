// SPDX-License-Identifier: BSD-3-Clause
// LoanTable: the chains of one ring that are lent out in mbufs. It lives from the ring's start to its stop, and then
// until the last of these mbufs is freed.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <rte_mbuf_core.h>

#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>

#include "base/page_memory.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"
#include "zerocopy/dma_memory.hpp"
#include "zerocopy/return_queue.hpp"

namespace vhostx::zerocopy {

class LoanTable;

/// Keeps a memory table while loans point into it. The data thread counts loans, the control thread reads the count.
class MemoryPin : public InOwnPages {
 public:
  explicit MemoryPin(std::shared_ptr<const DmaMemory> memory) noexcept : memory_(std::move(memory)) {}

  const std::shared_ptr<const DmaMemory>& memory() const noexcept { return memory_; }
  /// 0: the data thread no longer uses this memory, unless the current snapshot names it. Pairs with the release in
  /// count(): the data thread touches nothing of the memory after the last count. (Only that thread counts, so a plain
  /// load and store are enough there.)
  std::uint32_t loans() const noexcept { return loans_.load(std::memory_order_acquire); }
  void count(std::int32_t change) noexcept {
    loans_.store(loans_.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(change),
                 std::memory_order_release);
  }

 private:
  std::shared_ptr<const DmaMemory> memory_;
  std::atomic<std::uint32_t> loans_{0};
};

/// One chain that is lent out in one or more mbufs. They are attached with `shared`, so that callback and reference
/// count are in memory that no guest can write.
struct alignas(64) Loan {
  rte_mbuf_ext_shared_info shared;  ///< First: a segment's shinfo is its loan.
  LoanTable* table = nullptr;       ///< For the callback.
  MemoryPin* pin = nullptr;
  std::atomic<std::uint64_t> lent_at{0};  ///< Time-stamp counter; 0: no mbuf has it. Orders nothing else.
  std::uint32_t link = ReturnQueue::none;
  std::uint16_t chain_id = 0;
  std::uint16_t entries = 0;  ///< Ring entries that the chain takes; 0: the loan is free.

  // Only for to-guest rings; on a cache line of their own.
  alignas(64) memory::WritableSpan header;  ///< Where the net header goes.
  std::uint64_t order = 0;                  ///< Identifies the chain's segments, see Segments::order_after().
  virtqueue::FirstDescriptor first{};       ///< The chain's, to walk it again from this copy.

  virtqueue::Chain chain() const noexcept { return {.id = chain_id, .entries = entries, .first = first}; }
};
static_assert(sizeof(Loan) == 128);

/// A port's options for loans.
struct LoanLimits {
  std::uint32_t copy_below = 0;   ///< Packets of fewer bytes are copied.
  std::uint32_t entries_max = 0;  ///< Descriptors of one ring that may be lent at a time; 0: half of its size.
};

/// In pages of its own, so that NUMA placement can move it: a data thread writes it each burst.
///
/// Threads: the owner is the ring's data thread, or the control thread while the ring's gate is shut. Any thread may
/// call give_back(), outstanding() and oldest().
class LoanTable {
 public:
  struct Release {
    void operator()(LoanTable* table) const noexcept { table->release(); }
  };
  /// The control thread owns it. Once released, the table is destroyed with its last mbuf, on the thread that frees
  /// that.
  using Owned = std::unique_ptr<LoanTable, Release>;

  /// Loans of one ring at the same time, whatever its size.
  static constexpr std::uint32_t loans_of_table_max = 4096;

  /// For a ring of `ring_size` entries. Error: system (no memory).
  static Result<Owned> create(std::uint32_t ring_size, const LoanLimits& limits);
  LoanTable(const LoanTable&) = delete;
  LoanTable& operator=(const LoanTable&) = delete;

  std::uint32_t copy_below() const noexcept { return copy_below_; }

  // ---- owner
  /// A loan for a chain, whose entries are known, with one reference. Null: too much is lent already. It comes back
  /// when the last mbuf attached with `shared` is freed, or by cancel().
  Loan* take(MemoryPin& pin, const virtqueue::Chain& chain, std::uint64_t now) noexcept {
    Loan* const loan = take_uncounted(pin, chain, now);
    if (loan != nullptr) count_taken(pin, 1);
    return loan;
  }
  /// The same for a burst, which calls count_taken() once at its end.
  Loan* take_uncounted(MemoryPin& pin, const virtqueue::Chain& chain, std::uint64_t now) noexcept {
    if (chain.entries > entries_left_ || free_count_ == 0) [[unlikely]]
      return nullptr;
    Loan& loan = loans_[free_[--free_count_]];
    loan.pin = &pin;
    loan.chain_id = chain.id;
    loan.entries = static_cast<std::uint16_t>(chain.entries);
    loan.shared.refcnt = 1;
    loan.lent_at.store(now, std::memory_order_relaxed);
    entries_left_ -= chain.entries;
    return &loan;
  }
  void count_taken(MemoryPin& pin, std::uint32_t loans) noexcept {
    pin.count(static_cast<std::int32_t>(loans));
    count_out(static_cast<std::int32_t>(loans));
  }
  /// Ends a loan to which no mbuf is attached.
  void cancel(Loan& loan) noexcept {
    loan.pin->count(-1);
    count_out(-1);
    cancel_uncounted(loan);
  }
  void cancel_uncounted(Loan& loan) noexcept {
    loan.lent_at.store(0, std::memory_order_relaxed);
    recycle(loan);
  }
  /// Whether collect() would find something: the cheapest check.
  bool has_returns() const noexcept { return returns_.has_some(); }
  /// Calls `use(chain)` for each chain that has come back. Returns how many.
  template <typename Use>
  std::uint32_t collect(Use&& use) noexcept {
    std::int32_t count = 0;
    std::int32_t of_pin = 0;  // most loans in a row are of the same memory
    MemoryPin* pin = nullptr;
    for (std::uint32_t next = returns_.take_all(); next != ReturnQueue::none; ++count, ++of_pin) {
      Loan& loan = loans_[next];
      if (loan.pin != pin) {
        if (pin != nullptr) pin->count(-of_pin);
        pin = loan.pin;
        of_pin = 0;
      }
      next = loan.link;
      use(loan.chain());
      recycle(loan);
    }
    if (pin != nullptr) pin->count(-of_pin);
    count_out(-count);
    return static_cast<std::uint32_t>(count);
  }
  /// The loan that a segment is attached to, if it is a current one of this table; else null.
  Loan* find(const rte_mbuf& segment) const noexcept;

  /// Keeps a chain that came back untouched, to be lent again before the driver's next ones.
  void keep_spare(const virtqueue::Chain& chain) noexcept {
    assert(spare_count_ < loans_.size());  // spares are lent before other chains, so they were loans all at once
    spares_[spare_count_++] = chain;
  }
  bool take_spare(virtqueue::Chain& chain) noexcept {
    if (spare_count_ == 0) return false;
    chain = spares_[--spare_count_];
    return true;
  }

  // ---- control thread while the gate is shut
  /// Ends the ring's use of the table: calls `use(chain)` for each chain that is still lent, and collects no loan any
  /// more. Returns how many these are. Their mbufs stay valid.
  template <typename Use>
  std::uint32_t close(Use&& use) noexcept {
    std::uint32_t count = 0;
    for (Loan& loan : loans_) {
      if (loan.entries == 0) continue;
      use(loan.chain());
      ++count;
    }
    returns_.close(count);
    closed_.store(true, std::memory_order_release);
    return count;
  }
  /// After close(): whether no mbuf points into the table or its memory any more.
  bool is_over() const noexcept { return returns_.out() == 0; }

  // ---- control thread
  /// The pin of `memory`; makes one if there is none.
  MemoryPin& pin(const std::shared_ptr<const DmaMemory>& memory);
  /// Releases memory into which no loan points, except `current`. Returns how many loans keep older memory.
  std::uint32_t drop_unused_pins(const MemoryPin* current) noexcept;

  /// Appends the pages that the data thread touches, for NUMA placement.
  void add_areas(std::vector<MemoryArea>& areas) const;

  // ---- any thread
  /// Call it when the last mbuf of a loan was freed.
  void give_back(Loan& loan) noexcept;
  /// Loans that are out, including some that came back and the owner has not collected yet; after close() exact.
  std::uint32_t outstanding() const noexcept {
    return closed_.load(std::memory_order_acquire) ? returns_.out() : out_.load(std::memory_order_relaxed);
  }
  /// When the oldest loan still held by an mbuf was lent, by the time-stamp counter; 0: there is none.
  std::uint64_t oldest() const noexcept;

 private:
  LoanTable(std::byte* pages, std::size_t size, std::uint32_t loans, const LoanLimits& limits) noexcept;
  ~LoanTable() = default;

  void release() noexcept;
  void destroy() noexcept;
  /// The chain is back: its loan and its descriptors can be lent again.
  void recycle(Loan& loan) noexcept {
    entries_left_ += loan.entries;
    loan.entries = 0;
    free_[free_count_++] = static_cast<std::uint32_t>(&loan - loans_.data());
  }
  void count_out(std::int32_t change) noexcept {
    out_.store(out_.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(change), std::memory_order_relaxed);
  }

  // Written once.
  std::size_t size_;  // bytes of the pages that hold this object
  std::span<Loan> loans_;
  std::uint32_t* free_;
  virtqueue::Chain* spares_;
  std::uint32_t copy_below_;

  // The owner's.
  alignas(64) std::uint32_t entries_left_;
  std::uint32_t free_count_;
  std::uint32_t spare_count_ = 0;
  std::atomic<std::uint32_t> out_{0};

  // Whoever frees mbufs.
  alignas(64) ReturnQueue returns_;

  // The control thread's.
  alignas(64) std::atomic<bool> closed_{false};
  std::vector<std::unique_ptr<MemoryPin>> pins_;
};

}  // namespace vhostx::zerocopy
