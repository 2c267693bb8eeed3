// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/vring_loans.hpp"

#include <algorithm>
#include <new>

#include <rte_cycles.h>

#include <vhostx/queue_pairs.hpp>

#include "zerocopy/borrow.hpp"
#include "zerocopy/dequeue.hpp"

namespace vhostx::backend {

VringLoans::VringLoans(const PortOptions& options, std::uint16_t index, VringDataState& data) noexcept
    : lends_(options.zero_copy),
      limits_{.copy_below = options.copy_below, .entries_max = options.loans_max},
      from_guest_(is_from_guest(index)),
      data_(data) {}

Result<void> VringLoans::begin(RunningVring& first) {
  if (!lends_) return {};
  auto table = zerocopy::LoanTable::create(first.layout.size(), limits_);
  if (!table) return std::move(table).error();
  {
    const std::lock_guard guard(lock_);
    table_ = std::move(table).value();
  }
  follow(first);
  followed();
  return {};
}

void VringLoans::follow(RunningVring& next) {
  next.loans = table_.get();
  // Without DmaMemory nothing more is lent; current loans still come back.
  next.pin = table_ == nullptr || next.dma == nullptr ? nullptr : &table_->pin(next.dma);
  pin_ = next.pin;
}

std::uint32_t VringLoans::followed() noexcept {
  // While a ring waits for its loans, they keep their memory.
  return table_ == nullptr || last_ != nullptr ? 0 : table_->drop_unused_pins(pin_);
}

void VringLoans::stop(std::unique_ptr<const RunningVring> last) noexcept {
  pin_ = nullptr;
  if (table_ != nullptr) last_ = std::move(last);
}

std::uint32_t VringLoans::settle(bool give_up) noexcept {
  if (last_ == nullptr) return 0;
  const auto give_back = [this](auto give) { return call(with_context(*last_, data_, give)); };
  if (from_guest_)
    give_back([this](const auto& context) { return zerocopy::return_transmitted(context, *table_); });
  else
    zerocopy::keep_returned(*table_);
  const std::uint32_t out = table_->outstanding();
  if (out != 0 && !give_up) return out;
  give_back([this](const auto& context) { return zerocopy::return_spares(context, *table_); });
  net::BurstResult given;
  if (out != 0) given = give_back([this](const auto& context) { return zerocopy::take_back(context, *table_); });
  data_.counters.add(VringCounter::overdue, given.packets);
  last_ = nullptr;
  Table table = take_table();  // destroyed without the lock
  if (out == 0) return 0;
  try {
    const std::lock_guard guard(lock_);
    overdue_.push_back(std::move(table));
  } catch (const std::bad_alloc&) {
    // Not kept: it is destroyed when its last mbuf is freed.
  }
  return given.packets;
}

bool VringLoans::look_after() noexcept {
  const std::lock_guard guard(lock_);
  std::erase_if(overdue_, [](const Table& table) { return table->is_over(); });
  return followed() != 0 || !overdue_.empty();
}

VringLoans::Table VringLoans::take_table() noexcept {
  const std::lock_guard guard(lock_);
  return std::exchange(table_, nullptr);
}

net::BurstResult VringLoans::call(const net::BurstResult& given) noexcept {
  if (given.needs_call && last_->calls_in_band()) call_in_band_ = true;
  return given;
}

LoanState VringLoans::state() const noexcept {
  LoanState state;
  std::uint64_t oldest = 0;
  const auto look = [&oldest](const zerocopy::LoanTable& table) {
    const std::uint64_t at = table.oldest();
    if (at != 0 && (oldest == 0 || at < oldest)) oldest = at;
    return table.outstanding();
  };
  const std::lock_guard guard(lock_);
  if (table_ != nullptr) state.outstanding = look(*table_);
  for (const auto& table : overdue_) state.overdue += look(*table);
  const std::uint64_t now = rte_rdtsc();
  if (oldest != 0 && now > oldest)
    state.oldest_age =
        std::chrono::microseconds((now - oldest) / std::max<std::uint64_t>(1, rte_get_tsc_hz() / 1'000'000));
  return state;
}

}  // namespace vhostx::backend
