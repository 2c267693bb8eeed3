// SPDX-License-Identifier: BSD-3-Clause
// SplitDriver: the areas of a split virtqueue as the driver uses them (VIRTIO 1.2, 2.7.13). For DriverRing.
//
// A cache line that is written here must travel to the back-end's CPU, and costs both. So what a descriptor and an
// entry of avail already say is not written again; it is remembered in memory of our own, as shared memory is the
// back-end's too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "protocol/payloads.hpp"
#include "tools/driver/driver_chains.hpp"

namespace vhostx::tools {

class SplitDriver {
 public:
  struct Used {
    std::uint32_t id;
    std::uint32_t length;
  };

  /// Of the areas, and of the largest of them.
  static std::size_t area_bytes(const DriverRingOptions& options) noexcept;
  static std::size_t area_bytes_max(const DriverRingOptions& options) noexcept;

  void lay_out(SharedMemory& memory, const DriverRingOptions& options);
  void restart_at(std::uint16_t index) noexcept;
  std::uint32_t base() const noexcept { return used_seen_; }
  protocol::VringAddress addresses(std::uint32_t vring) const noexcept;

  /// Used entries, at most `most`. used->idx is not looked at where `enough` are known of: the back-end writes its
  /// line.
  std::uint16_t used_waiting(std::size_t enough, std::uint16_t most) noexcept {
    if (known() < enough) used_known_ = __atomic_load_n(used_ + 1, __ATOMIC_ACQUIRE);
    return std::min(known(), most);
  }
  /// Reads used entries: a value, so that a loop that stores has it in registers.
  class Reader {
   public:
    explicit Reader(const SplitDriver& ring) noexcept
        : elements_(ring.used_elements_), first_(ring.used_seen_), mask_(ring.mask_), halves_(ring.entries_ == 2) {}
    Used at(unsigned ahead) const noexcept { return elements_[(first_ + ahead) & mask_]; }
    std::uint16_t chain(std::uint32_t id) const noexcept { return static_cast<std::uint16_t>(halves_ ? id / 2 : id); }

   private:
    const Used* elements_;
    unsigned first_;
    unsigned mask_;
    bool halves_;
  };
  void took(unsigned count, bool calls_wanted) noexcept {
    used_seen_ = static_cast<std::uint16_t>(used_seen_ + count);
    // Far enough away not to be reached before it is written again (2.7.7.1): there is no other way to want no calls.
    if (event_idx_ && !calls_wanted) set_used_event(0x8000);
  }

  /// Writes chains that are made available; likewise a value.
  class Writer {
   public:
    Writer(SplitDriver& ring, DriverChains& chains) noexcept
        : ring_(ring),
          chains_(chains),
          described_(chains.described.data()),
          offered_(ring.offered_.data()),
          mask_(ring.mask_),
          next_(ring.avail_index_) {}
    void put(std::uint16_t chain, std::uint32_t bytes) noexcept {
      const unsigned slot = next_++ & mask_;
      if (described_[chain] != bytes) [[unlikely]]
        ring_.describe(chains_, chain, bytes);
      if (offered_[slot] != chain) [[unlikely]]
        ring_.offer(slot, chain, chains_.options.rewrite);
    }
    void finish() noexcept { ring_.avail_index_ = static_cast<std::uint16_t>(next_); }

   private:
    SplitDriver& ring_;
    DriverChains& chains_;
    const std::uint32_t* described_;
    const std::uint32_t* offered_;
    unsigned mask_;
    unsigned next_;
  };
  void publish() noexcept {
    if (published_ == avail_index_) return;
    published_ = avail_index_;
    __atomic_store_n(avail_ + 1, published_, __ATOMIC_RELEASE);
  }

  bool has_news() const noexcept { return notified_ != published_; }
  /// Whether the device wants to be kicked for what was published since the last time.
  bool wants_kick() noexcept;
  void want_calls(bool wanted) noexcept;

  template <typename F>
  void for_each_written(F&& written) const {
    written(descriptors_, size_ * sizeof(virtqueue::Descriptor));
    written(avail_, virtqueue::AvailRing::extent(size_, true));
  }

 private:
  std::uint16_t known() const noexcept { return static_cast<std::uint16_t>(used_known_ - used_seen_); }
  void set_used_event(unsigned ahead) noexcept {
    __atomic_store_n(avail_ + 2 + size_, static_cast<std::uint16_t>(used_seen_ + ahead), __ATOMIC_RELAXED);
  }
  void describe(DriverChains& chains, std::uint16_t chain, std::uint32_t bytes) noexcept;
  void offer(unsigned slot, std::uint16_t chain, bool rewrite) noexcept;

  std::uint16_t size_ = 0;
  std::uint16_t mask_ = 0;
  std::uint16_t entries_ = 1;  ///< Of a chain.
  bool event_idx_ = false;
  virtqueue::Descriptor* descriptors_ = nullptr;
  std::uint16_t* avail_ = nullptr;
  std::uint16_t* used_ = nullptr;
  const Used* used_elements_ = nullptr;
  std::uint16_t avail_index_ = 0;
  std::uint16_t published_ = 0;
  std::uint16_t notified_ = 0;
  std::uint16_t used_seen_ = 0;         ///< Taken back.
  std::uint16_t used_known_ = 0;        ///< What used->idx was when it was looked at.
  std::vector<std::uint32_t> offered_;  ///< By slot of avail: the chain that it says.
};

}  // namespace vhostx::tools
