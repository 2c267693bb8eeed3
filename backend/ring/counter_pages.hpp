// SPDX-License-Identifier: BSD-3-Clause
// A port's counters, where another process finds them when this one has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "net/ring_counters.hpp"

namespace vhostx::backend {

inline constexpr std::size_t counter_page_bytes = 4096;

/// A vring's counters, in a page that holds nothing else: of the process, or of CounterPages. The data thread makes the
/// same stores in both.
struct alignas(counter_page_bytes) PagedCounters : net::RingCounters {};
static_assert(sizeof(PagedCounters) == counter_page_bytes);

/// A file of one page for the port and one for each of its vrings. Whoever holds it may write any number, and each is
/// a valid count. A process goes on with a copy, so that two never count in one file. Control thread.
class CounterPages {
 public:
  /// A new file; the counts are 0. `rings`: at least 1. Errors: system; unsupported (pages of this machine are larger
  /// than a counter's).
  static Result<CounterPages> create(std::uint16_t rings);
  /// The counts are those of `found` now, which another process has left; if that is empty or does not fit, they stay
  /// 0. Before show_in().
  void copy(const UniqueFd& found) noexcept;

  int fd() const noexcept { return file_.get(); }

  /// PortInfo::connections.
  std::uint64_t connections() const noexcept;
  void set_connections(std::uint64_t count) noexcept;

  /// `counters`, which no burst uses meanwhile, are those of this vring from now on. Errors: system.
  Result<void> show_in(PagedCounters& counters, std::uint16_t ring) const;
  /// After show_in(): they have a page of the process's own again, and are 0. Before that memory is freed.
  static void release(PagedCounters& counters) noexcept;

 private:
  CounterPages(UniqueFd file, std::uint16_t rings) noexcept : file_(std::move(file)), rings_(rings) {}

  UniqueFd file_;
  std::uint16_t rings_;
};

}  // namespace vhostx::backend
