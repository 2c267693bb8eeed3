// SPDX-License-Identifier: BSD-3-Clause
// MacTable: learning and ageing.
#include "tools/switch/mac_table.hpp"

#include <algorithm>

namespace vhostx::tools {

MacTable::MacTable(unsigned ports, std::uint64_t secret)
    : multiplier_(secret | 1u), entries_per_port_max_(share_of(ports)), buckets_(std::size_t{1} << bucket_bits) {}

std::uint32_t MacTable::share_of(unsigned ports) noexcept {
  return std::min<std::uint32_t>(share_max, static_cast<std::uint32_t>(entries_usable / std::max(1u, ports)));
}

MacTable::Learned MacTable::learn(std::uint64_t mac, std::uint16_t port) noexcept {
  if (mac == 0 || is_group(mac)) return Learned::refused;
  Bucket& bucket = buckets_[bucket_of(mac)];
  for (auto& entry : bucket.entries) {
    const auto word = entry.load(std::memory_order_relaxed);
    if (word >> mac_shift == mac) return update(entry, word, word_for(mac, port));
  }
  return insert(bucket, word_for(mac, port));
}

// An age is rounded to ticks here and there: a difference of one says nothing.
MacTable::Learned MacTable::restore(std::uint64_t mac, std::uint16_t port, unsigned age_s) noexcept {
  const unsigned ticks = age_s / tick_seconds;
  if (mac == 0 || is_group(mac) || ticks > age_ticks_max) return Learned::refused;
  Bucket& bucket = buckets_[bucket_of(mac)];
  for (auto& entry : bucket.entries) {
    const auto word = entry.load(std::memory_order_relaxed);
    if (word >> mac_shift != mac) continue;
    if (age_of(word) + 1 < ticks) return Learned::known;
    return update(entry, word, word_for(mac, port, ticks));
  }
  if (entries_of(port) >= entries_per_port_max_) return Learned::refused;
  return insert(bucket, word_for(mac, port, ticks));
}

MacTable::Learned MacTable::update(std::atomic<std::uint64_t>& entry, std::uint64_t seen,
                                   std::uint64_t wanted) noexcept {
  if (seen == wanted) return Learned::known;
  const auto before = port_in(seen);
  const auto port = port_in(wanted);
  if (before != port) {
    if (entries_of(port) >= entries_per_port_max_) return Learned::refused;
    mark_group(wanted >> mac_shift, port);
  }
  // Somebody else may have changed it meanwhile: the next frame tries again.
  if (!entry.compare_exchange_strong(seen, wanted, std::memory_order_relaxed)) return Learned::known;
  if (before == port) return Learned::known;
  held_[before].fetch_sub(1, std::memory_order_relaxed);
  held_[port].fetch_add(1, std::memory_order_relaxed);
  return Learned::moved;
}

MacTable::Learned MacTable::insert(Bucket& bucket, std::uint64_t wanted) noexcept {
  const auto port = port_in(wanted);
  const bool may_grow = entries_of(port) < entries_per_port_max_;
  std::atomic<std::uint64_t>* place = nullptr;
  std::uint64_t seen = 0;
  for (auto& entry : bucket.entries) {
    const auto word = entry.load(std::memory_order_relaxed);
    if (word == 0 && may_grow) {
      place = &entry;
      seen = 0;
      break;
    }
    // A port at its share, or in a full bucket, gives up the oldest of its own.
    if (word != 0 && port_in(word) == port && (place == nullptr || age_of(word) > age_of(seen))) {
      place = &entry;
      seen = word;
    }
  }
  if (place == nullptr) return Learned::refused;
  const bool grows = seen == 0;
  mark_group(wanted >> mac_shift, port);
  if (!place->compare_exchange_strong(seen, wanted, std::memory_order_relaxed)) return Learned::refused;
  if (grows) held_[port].fetch_add(1, std::memory_order_relaxed);
  return Learned::added;
}

bool MacTable::release(std::atomic<std::uint64_t>& entry, std::uint64_t seen) noexcept {
  if (!entry.compare_exchange_strong(seen, 0, std::memory_order_relaxed)) return false;
  held_[port_in(seen)].fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void MacTable::tick() noexcept {
  epoch_.store((epoch_.load(std::memory_order_relaxed) + 1) & epoch_mask, std::memory_order_relaxed);
  for (auto& bucket : buckets_)
    for (auto& entry : bucket.entries) {
      const auto word = entry.load(std::memory_order_relaxed);
      if (word != 0 && age_of(word) > age_ticks_max) release(entry, word);
    }
}

/// Before the entry is there. A port's entries are looked for when none of its frames are under way: whoever stopped
/// its rings has seen what their worker wrote.
void MacTable::mark_group(std::uint64_t mac, std::uint16_t port) noexcept {
  const auto bit = std::uint64_t{1} << (bucket_of(mac) / group_buckets);
  if ((groups_of_[port].load(std::memory_order_relaxed) & bit) == 0)
    groups_of_[port].fetch_or(bit, std::memory_order_release);
}

/// visit(entry, word) for each of the port's.
template <typename Visit>
void MacTable::visit_port(std::uint16_t port, Visit visit) const {
  for (auto left = groups_of_[port].load(std::memory_order_acquire); left != 0; left &= left - 1) {
    const auto* const first = &buckets_[static_cast<std::size_t>(std::countr_zero(left)) * group_buckets];
    for (const auto* bucket = first; bucket != first + group_buckets; ++bucket)
      for (const auto& entry : bucket->entries) {
        const auto word = entry.load(std::memory_order_relaxed);
        if (word != 0 && port_in(word) == port) visit(entry, word);
      }
  }
}

std::uint32_t MacTable::forget_port(std::uint16_t port) noexcept {
  std::uint32_t forgotten = 0;
  visit_port(port, [&](const auto& entry, std::uint64_t word) {
    if (release(const_cast<std::atomic<std::uint64_t>&>(entry), word)) ++forgotten;
  });
  return forgotten;
}

std::vector<MacTable::Station> MacTable::stations_of(std::uint16_t port) const {
  std::vector<Station> found;
  visit_port(port, [&](const auto&, std::uint64_t word) { found.push_back(station_in(word)); });
  return found;
}

void MacTable::forget(std::uint64_t mac) noexcept {
  for (auto& entry : buckets_[bucket_of(mac)].entries) {
    const auto word = entry.load(std::memory_order_relaxed);
    if (word != 0 && word >> mac_shift == mac) release(entry, word);
  }
}

std::vector<MacTable::Station> MacTable::stations() const {
  std::vector<Station> found;
  for (const auto& bucket : buckets_)
    for (const auto& entry : bucket.entries) {
      const auto word = entry.load(std::memory_order_relaxed);
      if (word != 0) found.push_back(station_in(word));
    }
  return found;
}

}  // namespace vhostx::tools
