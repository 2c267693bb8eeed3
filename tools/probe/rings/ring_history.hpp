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

/// What rates were counted by. What can be seen of a packed ring goes round after two laps, which may take less time
/// than there is between two looks: packets that its back-end counts are better, and if it shows none, the moments in
/// which the ring was looked at closely are the best that there is.
enum class RatesBy { positions, packets, moments };

/// Chains per second; none: not known.
struct RingRates {
  std::optional<double> available;
  std::optional<double> used;
  std::optional<double> kicks;
  std::optional<double> calls;
  std::optional<double>
      most;  ///< Higher rates of `available` and `used` than this would have been taken for lower ones.
  RatesBy by = RatesBy::positions;  ///< `available` and `used`.
};

class RingHistory {
 public:
  void look(ProbeTime now, const RingSample& sample) noexcept;
  /// Looks in quick succession, at a packed ring: the first of them, and each further one.
  void begin_close_look(ProbeTime now, const RingSample& sample) noexcept { close_last_ = Close::at(now, sample); }
  void look_closely(ProbeTime now, const RingSample& sample) noexcept;
  void count(const RingCounts& counts) noexcept { counts_ = counts; }
  /// The back-end's own count of packets.
  void count_packets(std::uint64_t packets) noexcept { packets_ = packets; }

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
    std::optional<std::uint64_t> packets;
    std::uint32_t in_flight = 0;
  };
  Mark mark_at(ProbeTime now) const noexcept {
    return {now, available_.total(), used_.total(), counts_, packets_, in_flight_};
  }

  /// Where a ring was in one of several close looks.
  struct Close {
    ProbeTime time{};
    std::uint32_t available = 0;
    std::uint32_t used = 0;
    static std::optional<Close> at(ProbeTime now, const RingSample& sample) noexcept;
  };
  /// What moved in all close looks since the rates were taken, in how much time.
  struct CloseSum {
    std::uint64_t available = 0;
    std::uint64_t used = 0;
    ProbeTime time{};
    ProbeTime longest_gap{};
  };
  bool count_was_too_slow() const noexcept;
  void take_packed(const Mark& before, double seconds, RingRates& rates) const noexcept;
  void take_positions(const Mark& before, double seconds, RingRates& rates) const noexcept;

  Counter available_;
  Counter used_;
  std::uint32_t modulus_ = 65536;
  bool packed_ = false;
  double chains_per_step_ = 1;
  std::optional<Close> close_last_;
  CloseSum close_;
  std::optional<std::uint64_t> packets_;
  std::uint32_t in_flight_ = 0;
  std::optional<RingCounts> counts_;
  std::optional<ProbeTime> last_look_;
  ProbeTime longest_gap_{};
  std::optional<Mark> mark_;
  std::optional<ProbeTime> waiting_since_;
};

}  // namespace vhostx::tools::probe
