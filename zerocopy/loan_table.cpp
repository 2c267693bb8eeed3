// SPDX-License-Identifier: BSD-3-Clause
#include "zerocopy/loan_table.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/error.hpp"

namespace vhostx::zerocopy {
namespace {

void on_last_free(void*, void* loan) {
  auto& back = *static_cast<Loan*>(loan);
  back.table->give_back(back);
}

}  // namespace

Result<LoanTable::Owned> LoanTable::create(std::uint32_t ring_size, const LoanLimits& limits) {
  const std::uint32_t half = ring_size / 2;
  const std::uint32_t entries = limits.entries_max == 0 ? half : std::min(limits.entries_max, half);
  const std::uint32_t loans = std::min(entries, loans_of_table_max);
  const std::size_t size =
      sizeof(LoanTable) + loans * (sizeof(Loan) + sizeof(virtqueue::Chain) + sizeof(std::uint32_t));
  void* pages = map_pages(size);
  if (pages == nullptr) return make_system_error(ENOMEM, "memory for {} loans", loans);
  LoanLimits own = limits;
  own.entries_max = entries;
  return Owned(new (pages) LoanTable(static_cast<std::byte*>(pages), size, loans, own));
}

LoanTable::LoanTable(std::byte* pages, std::size_t size, std::uint32_t loans, const LoanLimits& limits) noexcept
    : size_(size), copy_below_(limits.copy_below), entries_left_(limits.entries_max), free_count_(loans) {
  std::byte* at = pages + sizeof(LoanTable);
  Loan* const first = new (at) Loan[loans];
  at += loans * sizeof(Loan);
  loans_ = {first, loans};
  spares_ = new (at) virtqueue::Chain[loans];
  at += loans * sizeof(virtqueue::Chain);
  free_ = reinterpret_cast<std::uint32_t*>(at);
  for (std::uint32_t i = 0; i < loans; ++i) {
    loans_[i].shared.free_cb = on_last_free;
    loans_[i].shared.fcb_opaque = &loans_[i];
    loans_[i].table = this;
    free_[i] = loans - 1 - i;  // so that the first are taken first
  }
}

Loan* LoanTable::find(const rte_mbuf& segment) const noexcept {
  // Other external buffers have a foreign shinfo: it is compared as a number and not dereferenced.
  if ((segment.ol_flags & RTE_MBUF_F_EXTERNAL) == 0) return nullptr;
  const auto at = reinterpret_cast<std::uintptr_t>(segment.shinfo) - reinterpret_cast<std::uintptr_t>(loans_.data());
  if (at >= loans_.size_bytes() || at % sizeof(Loan) != 0) return nullptr;
  Loan& loan = loans_[at / sizeof(Loan)];
  return loan.entries == 0 ? nullptr : &loan;
}

MemoryPin& LoanTable::pin(const std::shared_ptr<const DmaMemory>& memory) {
  for (const auto& pin : pins_)
    if (pin->memory() == memory) return *pin;
  return *pins_.emplace_back(std::make_unique<MemoryPin>(memory));
}

std::uint32_t LoanTable::drop_unused_pins(const MemoryPin* current) noexcept {
  std::uint32_t kept = 0;
  std::erase_if(pins_, [&kept, current](const std::unique_ptr<MemoryPin>& pin) {
    if (pin.get() == current) return false;
    const std::uint32_t loans = pin->loans();
    kept += loans;
    return loans == 0;
  });
  return kept;
}

void LoanTable::add_areas(std::vector<MemoryArea>& areas) const {
  areas.push_back({reinterpret_cast<std::uintptr_t>(this), whole_pages(size_)});
  for (const auto& pin : pins_)
    areas.push_back({reinterpret_cast<std::uintptr_t>(pin.get()), whole_pages(sizeof *pin)});
}

void LoanTable::give_back(Loan& loan) noexcept {
  // DPDK drops the last reference by a plain store after a relaxed load of 1. This fence orders what the threads of the
  // other references did with the buffer before this, and push() orders it before what the owner does
  // (return_queue_order.pml).
  std::atomic_thread_fence(std::memory_order_acquire);
  loan.lent_at.store(0, std::memory_order_relaxed);
  if (returns_.push(static_cast<std::uint32_t>(&loan - loans_.data()), loan.link) == ReturnQueue::Pushed::last)
    destroy();
}

std::uint64_t LoanTable::oldest() const noexcept {
  std::uint64_t oldest = 0;
  for (const Loan& loan : loans_) {
    const std::uint64_t at = loan.lent_at.load(std::memory_order_relaxed);
    if (at != 0 && (oldest == 0 || at < oldest)) oldest = at;
  }
  return oldest;
}

void LoanTable::release() noexcept {
  if (!closed_.load(std::memory_order_relaxed)) close([](const virtqueue::Chain&) {});
  if (returns_.abandon()) destroy();
}

void LoanTable::destroy() noexcept {
  const std::size_t size = size_;
  for (Loan& loan : loans_) loan.~Loan();
  this->~LoanTable();
  unmap_pages(this, size);
}

}  // namespace vhostx::zerocopy
