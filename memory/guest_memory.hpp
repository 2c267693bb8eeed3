// SPDX-License-Identifier: BSD-3-Clause
// GuestMemory: an immutable table of mapped regions, and the only way from a peer's numbers to pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <vhostx/result.hpp>

#include "base/page_memory.hpp"
#include "memory/address.hpp"
#include "memory/mapped_region.hpp"

namespace vhostx::memory {

struct MemoryLimits {
  std::size_t regions_max = 512;
  std::uint64_t bytes_max = std::uint64_t{1} << 46;
  /// Bytes of files that regions map a second time. That costs us page tables, and the front-end no memory. Real
  /// layouts have none, or little.
  std::uint64_t aliased_bytes_max = std::uint64_t{1} << 30;
};

/// A table never changes: for a change a new one is built and published. The old one lives until its last user (a
/// burst, a loan) releases it. All functions may be called from any thread.
class GuestMemory {
 public:
  /// The region of the last translation; the next address is likely in it too. Each thread has its own, for one table.
  struct alignas(32) Hint {
    std::uint64_t guest = 0;
    std::uint64_t size = 0;
    std::uint8_t* host = nullptr;
    std::uint32_t page_shift = 12;  ///< The region is mapped in pages of 2^page_shift bytes.
  };

  GuestMemory() { reset_index(0, 0); }
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// A table of these regions. Errors: protocol_violation (overlap in guest or in front-end addresses, with both
  /// regions), limit (too many regions or bytes, or the same bytes of a file too often, with the bound).
  static Result<std::shared_ptr<const GuestMemory>> create(std::vector<std::shared_ptr<const MappedRegion>> regions,
                                                           const MemoryLimits& limits);

  /// The bytes from `address` on that are in one region, at most `length`. Shorter if the region ends before (the rest
  /// may be in a neighbouring region), empty if `address` is in no region or `length` is 0.
  HostSpan translate_prefix(GuestAddress address, std::size_t length, Hint& hint) const noexcept {
    std::uint64_t offset = address.value - hint.guest;  // wraps to something huge when below
    if (offset >= hint.size) [[unlikely]] {
      if (!find(address, hint)) return {};
      offset = address.value - hint.guest;
    }
    const std::uint64_t left = hint.size - offset;
    return {hint.host + offset, length < left ? length : static_cast<std::size_t>(left)};
  }

  /// All of [address, address + length) in one region, or nothing.
  HostSpan translate(GuestAddress address, std::size_t length, Hint& hint) const noexcept {
    const HostSpan span = translate_prefix(address, length, hint);
    return span.size == length && length != 0 ? span : HostSpan{};
  }
  HostSpan translate(GuestAddress address, std::size_t length) const noexcept {
    Hint hint;
    return translate(address, length, hint);
  }

  /// The same for addresses of the front-end's process (SET_VRING_ADDR). Control thread.
  HostSpan translate(FrontEndAddress address, std::size_t length) const noexcept;

  /// Finds most addresses with one look-up; small, so that a burst can keep a copy.
  class Index {
   public:
    /// The region that probably holds `address`: the caller has to check. If it does not, it may be another region or
    /// an empty one, and translate() finds the right one.
    const Hint& likely_region(GuestAddress address) const noexcept {
      const std::size_t units = slots_[(address.value >> shift_) & mask_];
      return *reinterpret_cast<const Hint*>(reinterpret_cast<const std::uint64_t*>(entries_) + units);
    }

   private:
    friend class GuestMemory;
    // Slots count in units that a processor can scale an index by.
    static constexpr std::size_t units_an_entry = sizeof(Hint) / sizeof(std::uint64_t);

    const Hint* entries_ = nullptr;
    const std::uint16_t* slots_ = nullptr;  // the entry of each slot, the first if it has several
    std::uint64_t mask_ = 0;                // the number of slots is a power of two; addresses wrap around
    unsigned shift_ = 0;
  };
  const Index& index() const noexcept { return index_; }

  const std::vector<std::shared_ptr<const MappedRegion>>& regions() const noexcept { return regions_; }
  std::uint64_t bytes() const noexcept { return bytes_; }

  /// What translations read, each in pages of its own: for NUMA placement.
  std::array<HostSpan, 4> own_pages() const noexcept;

 private:
  template <typename T>
  using PageVector = std::vector<T, PageAllocator<T>>;

  void index_regions();
  void reset_index(unsigned shift, unsigned slots_log2);
  bool fill_slots();
  bool find(GuestAddress address, Hint& hint) const noexcept;

  std::vector<std::shared_ptr<const MappedRegion>> regions_;  // by guest address
  PageVector<std::uint64_t> starts_;  // their guest addresses again, dense: a search touches few cache lines
  PageVector<Hint> entries_{1};       // the regions again, after an empty one
  PageVector<std::uint16_t> slots_;   // guest addresses in equal slots: the entry in each, 0 for none
  Index index_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vhostx::memory
