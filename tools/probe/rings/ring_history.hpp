// SPDX-License-Identifier: BSD-3-Clause
// RingHistory: one ring over time: how far it moved, and since when it does not. Pure: the time is given.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "tools/probe/rings/ring_facts.hpp"
#include "tools/probe/rings/ring_sample.hpp"

namespace vhostx::tools::probe {

using ProbeTime = std::chrono::nanoseconds;  ///< Of any clock that only goes forward.

/// A number that goes round, seen now and then. Between two looks it may go half round: what seems to be more is taken
/// for a step back, which a look at a number that is being written may see, and counts only when it is seen twice.
class Counter {
 public:
  /// True: it is another one than before.
  bool look(std::uint32_t position, std::uint32_t modulus) noexcept;
  std::uint64_t total() const noexcept { return total_; }

 private:
  std::optional<std::uint32_t> last_;
  bool behind_ = false;
  std::uint64_t total_ = 0;
};

/// Per second; none: not known. `available` and `used` are never known of packed rings: what can be seen of them goes
/// round after two laps, which take less time than there is between two looks.
struct RingRates {
  std::optional<double> available;
  std::optional<double> used;
  std::optional<double> kicks;
  std::optional<double> calls;
  std::optional<double>
      most;  ///< Higher rates of `available` and `used` than this would have been taken for lower ones.
};

class RingHistory {
 public:
  void look(ProbeTime now, const RingSample& sample) noexcept;
  void count(const RingCounts& counts) noexcept { counts_ = counts; }

  /// The device need not have gone on until now.
  void excuse() noexcept { waiting_since_.reset(); }

  /// Since the last call, or since the first look.
  RingRates take_rates(ProbeTime now) noexcept;
  /// Since when something is available and the device uses nothing; none: it does, or there is nothing.
  std::optional<ProbeTime> waiting_since() const noexcept { return waiting_since_; }

 private:
  struct Mark {
    ProbeTime time{};
    std::uint64_t available = 0;
    std::uint64_t used = 0;
    std::optional<RingCounts> counts;
  };

  Counter available_;
  Counter used_;
  std::uint32_t modulus_ = 65536;
  bool exact_ = true;
  std::optional<RingCounts> counts_;
  std::optional<ProbeTime> last_look_;
  ProbeTime longest_gap_{};
  std::optional<Mark> mark_;
  std::optional<ProbeTime> waiting_since_;
};

}  // namespace vhostx::tools::probe
