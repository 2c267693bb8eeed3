// SPDX-License-Identifier: BSD-3-Clause
// AddressTable: finds the entry that holds a peer's number, mostly with one look-up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/page_memory.hpp"
#include "memory/address.hpp"

namespace vhostx::memory {

/// Numbers of one address space and the bytes they stand for. It owns none of these bytes, and never changes. All
/// functions may be called from any thread.
class AddressTable {
 public:
  /// The numbers [guest, guest + size) stand for the bytes from `host` on.
  struct alignas(32) Entry {
    std::uint64_t guest = 0;
    std::uint64_t size = 0;
    std::uint8_t* host = nullptr;
    std::uint32_t page_shift = 12;  ///< The bytes are mapped in pages of 2^page_shift bytes.
  };
  /// The entry of the last translation; the next number is likely in it too. Each thread has its own, for one table.
  using Hint = Entry;

  /// Finds most numbers with one look-up; small, so that a burst can keep a copy.
  class Index {
   public:
    /// The entry that probably holds `number`: the caller has to check. If it does not, it may be another entry or an
    /// empty one, and translate() finds the right one.
    const Entry& likely_entry(std::uint64_t number) const noexcept {
      const std::size_t units = slots_[(number >> shift_) & mask_];
      return *reinterpret_cast<const Entry*>(reinterpret_cast<const std::uint64_t*>(entries_) + units);
    }

   private:
    friend class AddressTable;
    // Slots count in units that a processor can scale an index by.
    static constexpr std::size_t units_an_entry = sizeof(Entry) / sizeof(std::uint64_t);

    const Entry* entries_ = nullptr;
    const std::uint16_t* slots_ = nullptr;  // the entry of each slot, the first if it has several
    std::uint64_t mask_ = 0;                // the number of slots is a power of two; numbers wrap around
    unsigned shift_ = 0;
  };

  /// `entries` are in ascending order, none is empty or wraps around 2^64, and none overlaps another.
  explicit AddressTable(std::span<const Entry> entries);
  AddressTable(const AddressTable&) = delete;
  AddressTable& operator=(const AddressTable&) = delete;

  /// The bytes from `number` on that are in one entry, at most `length`. Shorter if the entry ends before (the rest may
  /// be in a neighbouring entry), empty if `number` is in no entry or `length` is 0.
  HostSpan translate_prefix(std::uint64_t number, std::size_t length, Hint& hint) const noexcept {
    std::uint64_t offset = number - hint.guest;  // wraps to something huge when below
    if (offset >= hint.size) [[unlikely]] {
      if (!find(number, hint)) return {};
      offset = number - hint.guest;
    }
    const std::uint64_t left = hint.size - offset;
    return {hint.host + offset, length < left ? length : static_cast<std::size_t>(left)};
  }

  /// All of [number, number + length) in one entry, or nothing.
  HostSpan translate(std::uint64_t number, std::size_t length, Hint& hint) const noexcept {
    const HostSpan span = translate_prefix(number, length, hint);
    return span.size == length && length != 0 ? span : HostSpan{};
  }
  HostSpan translate(std::uint64_t number, std::size_t length) const noexcept {
    Hint hint;
    return translate(number, length, hint);
  }

  const Index& index() const noexcept { return index_; }

  /// What translations read besides this object, each in pages of its own: for NUMA placement.
  std::array<HostSpan, 3> own_pages() const noexcept;

 private:
  template <typename T>
  using PageVector = std::vector<T, PageAllocator<T>>;

  void choose_slots();
  void reset_slots(unsigned shift, unsigned slots_log2);
  bool fill_slots();
  bool find(std::uint64_t number, Hint& hint) const noexcept;

  Index index_;
  PageVector<std::uint64_t> starts_;  // first numbers of the entries, dense: a search touches few cache lines
  PageVector<Entry> entries_{1};      // the entries, after an empty one
  PageVector<std::uint16_t> slots_;   // the numbers in equal slots: the entry in each, 0 for none
};

}  // namespace vhostx::memory
