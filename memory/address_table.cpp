// SPDX-License-Identifier: BSD-3-Clause
#include "memory/address_table.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace vhostx::memory {

AddressTable::AddressTable(std::span<const Entry> entries) {
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  starts_.reserve(entries.size());
  for (const Entry& entry : entries) starts_.push_back(entry.guest);
  reset_slots(0, 0);
  if (!entries.empty() && entries_.size() <= std::numeric_limits<std::uint16_t>::max() / Index::units_an_entry)
    choose_slots();
}

// The coarsest slots that hold at most one entry each, or else the finest that the bound allows.
void AddressTable::choose_slots() {
  constexpr unsigned slots_log2_max = 13;
  const std::uint64_t last = entries_.back().guest + (entries_.back().size - 1);
  for (unsigned shift = 63;; --shift) {
    const auto needed_log2 = static_cast<unsigned>(std::bit_width((last >> shift) - (starts_.front() >> shift)));
    if (needed_log2 > slots_log2_max) return;
    reset_slots(shift, needed_log2);
    if (fill_slots() || shift == 0) return;
  }
}

void AddressTable::reset_slots(unsigned shift, unsigned slots_log2) {
  slots_.assign(std::size_t{1} << slots_log2, 0);
  index_.entries_ = entries_.data();
  index_.slots_ = slots_.data();
  index_.mask_ = slots_.size() - 1;
  index_.shift_ = shift;
}

// Whether no slot holds more than one entry.
bool AddressTable::fill_slots() {
  bool exact = true;
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    const std::uint64_t last = (entries_[i].guest + (entries_[i].size - 1)) >> index_.shift_;
    for (std::uint64_t at = entries_[i].guest >> index_.shift_;; ++at) {
      auto& slot = slots_[at & index_.mask_];
      exact = exact && slot == 0;
      if (slot == 0) slot = static_cast<std::uint16_t>(i * Index::units_an_entry);
      if (at == last) break;  // not `at <= last` above: with slots of one number `last` may be the highest
    }
  }
  return exact;
}

bool AddressTable::find(std::uint64_t number, Hint& hint) const noexcept {
  const Entry& likely = index_.likely_entry(number);
  if (number - likely.guest < likely.size) {
    hint = likely;
    return true;
  }
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), number);
  if (after == starts_.begin()) return false;
  const Entry& entry = entries_[static_cast<std::size_t>(after - starts_.begin())];  // after the empty one
  if (number - entry.guest >= entry.size) return false;
  hint = entry;
  return true;
}

std::array<HostSpan, 3> AddressTable::own_pages() const noexcept {
  const auto pages = [](const auto& vector) {
    void* const data = const_cast<void*>(static_cast<const void*>(vector.data()));
    return HostSpan{static_cast<std::uint8_t*>(data), whole_pages(vector.capacity() * sizeof vector[0])};
  };
  return {pages(starts_), pages(entries_), pages(slots_)};
}

}  // namespace vhostx::memory
