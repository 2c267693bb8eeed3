// SPDX-License-Identifier: BSD-3-Clause
// WalkBudget: bounds how much of a ring's chains one call looks at, so that a call ends soon whatever the ring holds.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "virtqueue/ring.hpp"

namespace vhostx::virtqueue {

/// After this many descriptors a call begins no further chain: as many as the longest chain has. The largest rings of
/// QEMU, full of a Linux driver's longest chains, stay below it.
inline constexpr std::uint64_t walk_descriptors_max = ring_size_max;
/// The same for pages. A page of up to 32 KiB counts as 1, a larger one as its size in units of 32 KiB (2 MiB: 64). A
/// unit is about 5 us of the kernel's time at the first touch.
inline constexpr std::uint64_t walk_pages_max = 4096;
/// A packet that is spread over more than a whole budget of pages is dropped. That many pages are always allowed,
/// however large they are.
inline constexpr std::uint64_t packet_touches_usual = 64;
/// After this many calls in a row that spend all descriptors and move no packet, the ring is broken.
inline constexpr std::uint8_t fruitless_calls_max = 16;
/// Chains of up to this many descriptors on average never break a ring, even if no packet moves. Linux makes chains of
/// 19.
inline constexpr std::uint64_t chain_descriptors_usual = 256;

/// What a ring's chains have cost since it started. Part of its cursor. Only chains that are walked or dropped count;
/// the straight path does not use it.
class WalkMeter {
 public:
  void count_descriptor() noexcept { ++descriptors_; }
  /// Counts a piece of a chain: its first page, and 1 for each 4 KiB that may be copied.
  void count_piece(const std::uint8_t* at, std::size_t bytes, unsigned page_shift) noexcept {
    pages_ += std::min(bytes, piece_bytes_max) >> small_page_shift;
    touch(at, page_shift);
  }
  /// Counts an access to `at`, which is in pages of 2^page_shift bytes. Recently accessed pages cost nothing.
  void touch(const std::uint8_t* at, unsigned page_shift) noexcept {
    const std::uintptr_t page = reinterpret_cast<std::uintptr_t>(at) >> page_shift;
    std::uintptr_t& known = lately_[page % lately_.size()];
    if (known == page) return;
    known = page;
    ++touches_;
    pages_ += page_shift > unit_shift ? std::uint64_t{1} << (page_shift - unit_shift) : 1;
  }
  /// Counts a chain of the straight path whose packet of `bytes` bytes was dropped.
  void count_dropped(std::size_t bytes) noexcept {
    ++descriptors_;
    pages_ += bytes >> small_page_shift;
  }

  std::uint64_t descriptors() const noexcept { return descriptors_; }
  std::uint64_t pages() const noexcept { return pages_; }
  /// Accesses to pages that were not accessed recently, whatever their size.
  std::uint64_t touches() const noexcept { return touches_; }

  /// Counts a fruitless call; `packets` is how many the ring has ever moved. True: there were fruitless_calls_max of
  /// them, and no packet moved between the first and the last.
  bool count_fruitless(std::uint64_t packets) noexcept {
    if (packets != packets_before_) fruitless_calls_ = 0;
    packets_before_ = packets;
    return ++fruitless_calls_ >= fruitless_calls_max;
  }

 private:
  static constexpr unsigned small_page_shift = 12;
  static constexpr unsigned unit_shift = 15;
  static constexpr std::size_t piece_bytes_max = 1 << 16;

  std::uint64_t descriptors_ = 0;
  std::uint64_t pages_ = 0;
  std::uint64_t touches_ = 0;
  std::uint64_t packets_before_ = 0;
  std::uint8_t fruitless_calls_ = 0;
  // Numbers of recent pages, each at its remainder. A page that was unmapped and mapped again may still be in it.
  std::array<std::uintptr_t, 64> lately_{};
};

/// What one packet has cost so far. A driver that spreads a packet over thousands of pages, with a few bytes in each,
/// could make the kernel allocate all of them in one call.
class PacketMeter {
 public:
  explicit PacketMeter(const WalkMeter& meter) noexcept
      : meter_(&meter), pages_before_(meter.pages()), touches_before_(meter.touches()) {}

  bool is_scattered() const noexcept {
    return meter_->pages() - pages_before_ > walk_pages_max &&
           meter_->touches() - touches_before_ > packet_touches_usual;
  }

 private:
  const WalkMeter* meter_;
  std::uint64_t pages_before_;
  std::uint64_t touches_before_;
};

/// What one call may spend. It is checked between chains, so the first chain of a call is always served whole, however
/// long it is. When it is spent, the burst ends, and further chains stay in the ring.
class WalkBudget {
 public:
  explicit WalkBudget(const WalkMeter& meter) noexcept
      : meter_(meter), descriptors_before_(meter.descriptors()), pages_before_(meter.pages()) {}

  std::uint64_t descriptors() const noexcept { return meter_.descriptors() - descriptors_before_; }
  bool is_untouched() const noexcept { return descriptors() == 0; }
  bool has_descriptors() const noexcept { return descriptors() < walk_descriptors_max; }
  bool is_spent() const noexcept { return !has_descriptors() || meter_.pages() - pages_before_ >= walk_pages_max; }

  /// Counts a chain, which allows for chain_descriptors_usual descriptors.
  void count_chain() noexcept { ++chains_; }
  /// Whether all descriptors went into chains that no driver makes.
  bool is_wasted() const noexcept { return !has_descriptors() && descriptors() >= chains_ * chain_descriptors_usual; }

 private:
  const WalkMeter& meter_;
  const std::uint64_t descriptors_before_;
  const std::uint64_t pages_before_;
  std::uint64_t chains_ = 0;
};

}  // namespace vhostx::virtqueue
