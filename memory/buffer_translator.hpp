// SPDX-License-Identifier: BSD-3-Clause
// BufferTranslator: translates the addresses of a burst's buffers, one after the other. translate_near(): one buffer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/guest_memory.hpp"

namespace vhostx::memory {

/// `host + offset` as numbers: for an offset that is not inside, the result is no valid pointer and must not be used.
inline const std::uint8_t* unchecked_pointer(const std::uint8_t* host, std::uint64_t offset) noexcept {
  return reinterpret_cast<const std::uint8_t*>(reinterpret_cast<std::uintptr_t>(host) + offset);
}

/// Finds [address, address + length) if it is all in the hint's entry; else false, and `found` must not be used.
/// `length` is at least 1.
[[gnu::always_inline]] inline bool translate_near(const AddressTable::Hint& hint, GuestAddress address,
                                                  std::uint64_t length, const std::uint8_t*& found) noexcept {
  const std::uint64_t offset = address.value - hint.guest;  // wraps to something huge when below
  found = unchecked_pointer(hint.host, offset);
  return offset < hint.size && length <= hint.size - offset;
}

/// For many buffers of at most `length_max` bytes. A buffer in the entry (for guest addresses a region) of the last
/// buffer before the burst, and not just before its end, costs one comparison; one in another entry costs one look-up.
template <std::size_t length_max>
class BufferTranslator {
 public:
  BufferTranslator(const GuestMemory& memory, const AddressTable::Hint& hint) noexcept
      : BufferTranslator(memory.table(), hint) {}
  BufferTranslator(const AddressTable& table, const AddressTable::Hint& hint) noexcept
      : table_(table),
        guest_(hint.guest),
        surely_inside_(hint.size > length_max ? hint.size - length_max : 0),
        host_(hint.host) {}

  /// Finds the address of a buffer of any allowed length if one comparison is enough; else false.
  bool translate_near(GuestAddress address, const std::uint8_t*& found) const noexcept {
    const std::uint64_t offset = address.value - guest_;  // wraps to something huge when below
    found = unchecked_pointer(host_, offset);
    return offset < surely_inside_;
  }

  /// Finds [address, address + length). False: it is not all in one entry. `length` is 1 to `length_max`.
  bool translate(GuestAddress address, std::size_t length, const std::uint8_t*& found) noexcept {
    return translate_near(address, found) || Far(*this).translate(address, length, found);
  }

  /// For buffers that are all in different entries: looks up at once. A loop keeps it in registers; its destructor
  /// gives the translator the last entry it found.
  class Far {
   public:
    explicit Far(BufferTranslator& translator) noexcept
        : translator_(translator),
          table_(translator.table_),
          index_(translator.table_.index()),
          entry_(translator.elsewhere_) {}
    ~Far() { translator_.elsewhere_ = entry_; }
    Far(const Far&) = delete;
    Far& operator=(const Far&) = delete;

    /// As the translator's.
    [[gnu::always_inline]] bool translate(GuestAddress address, std::size_t length,
                                          const std::uint8_t*& found) noexcept {
      const AddressTable::Entry& entry = index_.likely_entry(address.value);
      const std::uint64_t offset = address.value - entry.guest;
      if (offset >= entry.size || length > entry.size - offset) [[unlikely]] {
        found = translate_by_search(address, length);
        return found != nullptr;
      }
      entry_ = &entry;
      found = entry.host + offset;
      return true;
    }

   private:
    [[gnu::noinline]] const std::uint8_t* translate_by_search(GuestAddress address, std::size_t length) const noexcept {
      return table_.translate(address.value, length).data;
    }

    BufferTranslator& translator_;
    const AddressTable& table_;
    const AddressTable::Index index_;
    const AddressTable::Entry* entry_;
  };

  /// For the next burst: the entry of the last buffer that was not in the hint's entry.
  void keep_hint(AddressTable::Hint& hint) const noexcept {
    if (elsewhere_ != nullptr) hint = *elsewhere_;
  }

 private:
  const AddressTable& table_;
  std::uint64_t guest_;
  std::uint64_t surely_inside_;  // below this offset, length_max bytes are inside the entry
  std::uint8_t* host_;
  const AddressTable::Entry* elsewhere_ = nullptr;  // of the last buffer that was not near
};

}  // namespace vhostx::memory
