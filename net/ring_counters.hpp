// SPDX-License-Identifier: BSD-3-Clause
// RingCounters: a vring's live counters. One thread writes, any thread may read and reset.
#pragma once

#include <cstdint>

#include <vhostx/vring_stats.hpp>

#include "net/counters.hpp"

namespace vhostx::net {

class RingCounters {
 public:
  void add(VringCounter id, std::uint64_t amount) noexcept { counters_.add(static_cast<std::size_t>(id), amount); }

  /// Since the beginning, whatever was reset.
  std::uint64_t value(VringCounter id) const noexcept { return counters_.value(static_cast<std::size_t>(id)); }

  const void* address(VringCounter id) const noexcept { return counters_.address(static_cast<std::size_t>(id)); }

  /// Since the last reset.
  std::uint64_t shown(VringCounter id) const noexcept { return counters_.shown(static_cast<std::size_t>(id)); }
  VringStats snapshot() const noexcept { return {counters_.snapshot()}; }
  void reset() noexcept { counters_.reset(); }
  void restore(const VringStats& stats) noexcept {
    for (std::size_t i = 0; i < vring_counter_count; ++i) counters_.restore(i, stats.values[i]);
  }

 private:
  Counters<vring_counter_count> counters_;
};

}  // namespace vhostx::net
