// SPDX-License-Identifier: BSD-3-Clause
// BufferTranslator: translates the addresses of a burst's buffers, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/guest_memory.hpp"

namespace vhostx::memory {

/// For many buffers of at most `length_max` bytes. A buffer in the region of the last buffer before the burst, and not
/// just before that region's end, costs one comparison; a buffer in another region costs one look-up.
template <std::size_t length_max>
class BufferTranslator {
 public:
  BufferTranslator(const GuestMemory& memory, const GuestMemory::Hint& hint) noexcept
      : memory_(memory),
        guest_(hint.guest),
        surely_inside_(hint.size > length_max ? hint.size - length_max : 0),
        host_(hint.host) {}

  /// Finds the address of a buffer of any allowed length if one comparison is enough; else false.
  bool translate_near(GuestAddress address, std::uint8_t*& found) const noexcept {
    const std::uint64_t offset = address.value - guest_;  // wraps to something huge when below
    // Computed as a number: for an address elsewhere it is no valid pointer, and the caller does not use it.
    found = reinterpret_cast<std::uint8_t*>(reinterpret_cast<std::uintptr_t>(host_) + offset);
    return offset < surely_inside_;
  }

  /// Finds [address, address + length). False: it is not all in one region. `length` is 1 to `length_max`.
  bool translate(GuestAddress address, std::size_t length, std::uint8_t*& found) noexcept {
    return translate_near(address, found) || Far(*this).translate(address, length, found);
  }

  /// For buffers that are all in different regions: looks up at once. A loop keeps it in registers; its destructor
  /// gives the translator the last region it found.
  class Far {
   public:
    explicit Far(BufferTranslator& translator) noexcept
        : translator_(translator),
          memory_(translator.memory_),
          index_(translator.memory_.index()),
          region_(translator.elsewhere_) {}
    ~Far() { translator_.elsewhere_ = region_; }
    Far(const Far&) = delete;
    Far& operator=(const Far&) = delete;

    /// As the translator's.
    [[gnu::always_inline]] bool translate(GuestAddress address, std::size_t length, std::uint8_t*& found) noexcept {
      const GuestMemory::Hint& region = index_.likely_region(address);
      const std::uint64_t offset = address.value - region.guest;
      if (offset >= region.size || length > region.size - offset) [[unlikely]] {
        found = translate_by_search(address, length);
        return found != nullptr;
      }
      region_ = &region;
      found = region.host + offset;
      return true;
    }

   private:
    [[gnu::noinline]] std::uint8_t* translate_by_search(GuestAddress address, std::size_t length) const noexcept {
      return memory_.translate(address, length).data;
    }

    BufferTranslator& translator_;
    const GuestMemory& memory_;
    const GuestMemory::Index index_;
    const GuestMemory::Hint* region_;
  };

  /// For the next burst: the region of the last buffer that was not in the hint's region.
  void keep_hint(GuestMemory::Hint& hint) const noexcept {
    if (elsewhere_ != nullptr) hint = *elsewhere_;
  }

 private:
  const GuestMemory& memory_;
  std::uint64_t guest_;
  std::uint64_t surely_inside_;  // below this offset, length_max bytes are inside the region
  std::uint8_t* host_;
  const GuestMemory::Hint* elsewhere_ = nullptr;  // region of the last buffer that was not near
};

}  // namespace vhostx::memory
