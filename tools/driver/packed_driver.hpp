// SPDX-License-Identifier: BSD-3-Clause
// PackedDriver: the areas of a packed virtqueue as the driver uses them (VIRTIO 1.2, 2.8.21). For DriverRing.
//
// All chains of a ring have the same length, so what is used lies at equal steps. A chain's id is its number. The first
// descriptor of what is not published yet is kept back until then: its flags show all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "protocol/payloads.hpp"
#include "tools/driver/driver_chains.hpp"
#include "virtqueue/packed_ring.hpp"

namespace vhostx::tools {

/// The functions of SplitDriver, with the same meanings.
class PackedDriver {
 public:
  struct Used {
    std::uint32_t id;
    std::uint32_t length;
  };
  /// struct pvirtq_desc: {address u64, length u32, id u16, flags u16}.
  struct Entry {
    std::uint64_t address;
    std::uint64_t rest;
  };

  static std::size_t area_bytes(const DriverRingOptions& options) noexcept;
  static std::size_t area_bytes_max(const DriverRingOptions& options) noexcept;

  void lay_out(SharedMemory& memory, const DriverRingOptions& options);
  /// `place`: a PackedPosition, in a ring whose last lap was all used.
  void restart_at(std::uint16_t place) noexcept;
  std::uint32_t base() const noexcept { return used_seen_.value | std::uint32_t{used_seen_.value} << 16; }
  protocol::VringAddress addresses(std::uint32_t vring) const noexcept;

  std::uint16_t used_waiting(std::size_t enough, std::uint16_t most) noexcept {
    if (known_ < enough) look(most);
    return known_;
  }
  class Reader {
   public:
    explicit Reader(const PackedDriver& ring) noexcept
        : table_(ring.table_), first_(ring.used_seen_.index()), size_(ring.size_), step_(ring.entries_) {}
    Used at(unsigned ahead) const noexcept {
      const std::uint32_t place = first_ + ahead * step_;  // at most a lap
      const std::uint64_t rest = __atomic_load_n(&table_[place < size_ ? place : place - size_].rest, __ATOMIC_RELAXED);
      return {static_cast<std::uint16_t>(rest >> 32), static_cast<std::uint32_t>(rest)};
    }
    static std::uint16_t chain(std::uint32_t id) noexcept { return static_cast<std::uint16_t>(id); }

   private:
    const Entry* table_;
    std::uint32_t first_;
    std::uint32_t size_;
    std::uint32_t step_;
  };
  void took(unsigned count, bool) noexcept {
    used_seen_ = used_seen_.after(count * entries_, size_);
    known_ = static_cast<std::uint16_t>(known_ - std::min<unsigned>(known_, count));
  }

  class Writer {
   public:
    Writer(PackedDriver& ring, DriverChains& chains) noexcept
        : ring_(ring),
          chains_(chains),
          pieces_((ring.layout_ == ChainLayout::indirect ? chains.tables : chains.buffers).data()),
          described_(chains.described.data()),
          table_(ring.table_),
          layout_(ring.layout_),
          index_(ring.next_.index()),
          size_(ring.size_),
          side_(ring.next_.available()),
          flags_(chains.flags()),
          header_(chains.options.net_header_bytes),
          wrapped_(ring.next_.wrap()),
          has_first_(ring.has_first_),
          first_(ring.first_) {}

    void put(std::uint16_t chain, std::uint32_t bytes) noexcept {
      const std::uint64_t guest = pieces_[chain].guest;
      if (layout_ == ChainLayout::one) [[likely]] {
        write(guest, bytes, chain, flags_);
      } else if (layout_ == ChainLayout::two) {
        write(guest, header_, chain, static_cast<std::uint16_t>(flags_ | virtqueue::Descriptor::next_flag));
        write(guest + header_, bytes - header_, chain, flags_);
      } else {
        if (described_[chain] != bytes) [[unlikely]]
          describe(chains_, chain, bytes);
        write(guest, DriverChains::table_bytes, chain, virtqueue::Descriptor::indirect_flag);
      }
    }
    void finish() noexcept {
      ring_.next_.value =
          static_cast<std::uint16_t>(index_ | (wrapped_ ? virtqueue::PackedPosition::wrap_bit : std::uint16_t{0}));
      ring_.has_first_ = has_first_;
      ring_.first_ = first_;
    }

   private:
    void write(std::uint64_t address, std::uint32_t bytes, std::uint16_t id, std::uint16_t flags) noexcept {
      Entry& to = table_[index_];
      const std::uint64_t rest =
          bytes | std::uint64_t{id} << 32 | std::uint64_t{flags} << 48 | std::uint64_t{side_} << 48;
      to.address = address;
      if (has_first_) [[likely]] {
        __atomic_store_n(&to.rest, rest, __ATOMIC_RELAXED);
      } else {
        has_first_ = true;
        first_ = rest;
      }
      if (++index_ != size_) [[likely]]
        return;
      index_ = 0;
      wrapped_ = !wrapped_;
      side_ ^= virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
    }

    PackedDriver& ring_;
    DriverChains& chains_;
    const SharedMemory::Piece* pieces_;
    const std::uint32_t* described_;
    Entry* table_;
    ChainLayout layout_;
    std::uint32_t index_;
    std::uint32_t size_;
    std::uint16_t side_;  ///< The flags that say "available" in this lap.
    std::uint16_t flags_;
    std::uint32_t header_;
    bool wrapped_;  ///< The wrap counter.
    bool has_first_;
    std::uint64_t first_;
  };
  void publish() noexcept {
    if (!has_first_) return;
    has_first_ = false;
    // Pairs with the device's acquire of a chain's first flags: all that the chains consist of is written.
    __atomic_store_n(&table_[published_.index()].rest, first_, __ATOMIC_RELEASE);
    news_ += next_.since(published_, size_);
    published_ = next_;
  }

  bool has_news() const noexcept { return news_ != 0; }
  bool wants_kick() noexcept;
  void want_calls(bool wanted) noexcept;

  template <typename F>
  void for_each_written(F&& written) const {
    written(table_, size_ * sizeof(Entry));
    written(driver_.begin(), virtqueue::PackedEvent::bytes);
  }

 private:
  static void describe(DriverChains& chains, std::uint16_t chain, std::uint32_t bytes) noexcept;
  void look(std::uint16_t most) noexcept;

  std::uint16_t size_ = 0;
  std::uint16_t entries_ = 1;  ///< Of a chain.
  ChainLayout layout_ = ChainLayout::one;
  bool event_idx_ = false;
  Entry* table_ = nullptr;
  virtqueue::PackedEvent driver_;
  virtqueue::PackedEvent device_;
  virtqueue::PackedPosition next_;       ///< Of the next chain that is made available.
  virtqueue::PackedPosition published_;  ///< next_ when it was last published.
  virtqueue::PackedPosition notified_;
  virtqueue::PackedPosition used_seen_;  ///< Taken back.
  std::uint16_t known_ = 0;              ///< Chains from there on that were seen to be used.
  std::uint32_t news_ = 0;               ///< Entries that were published since notified_.
  bool has_first_ = false;
  std::uint64_t first_ = 0;  ///< What the entry at published_ is to say.
};

}  // namespace vhostx::tools
