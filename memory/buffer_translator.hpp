// SPDX-License-Identifier: BSD-3-Clause
// BufferTranslator: the addresses of a burst's buffers, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/guest_memory.hpp"

namespace vhostx::memory {

/// For many buffers of at most `length_max` bytes. While they lie in the region of the one before the burst, and not
/// just before its end, each costs one comparison; in another region, one look-up.
template <std::size_t length_max>
class BufferTranslator {
 public:
  BufferTranslator(const GuestMemory& memory, const GuestMemory::Hint& hint) noexcept
      : memory_(memory),
        index_(memory.index()),
        guest_(hint.guest),
        surely_inside_(hint.size > length_max ? hint.size - length_max : 0),
        host_(hint.host) {}

  /// Finds [address, address + length). False: it is not all in one region. `length` is 1 to `length_max`.
  bool translate(GuestAddress address, std::size_t length, std::uint8_t*& found) noexcept {
    const std::uint64_t offset = address.value - guest_;  // wraps to something huge when below
    if (offset < surely_inside_) [[likely]] {
      found = host_ + offset;
      return true;
    }
    return translate_elsewhere(address, length, found);
  }

  /// For the next burst: where the last buffer lay that was not where the hint said.
  void keep_hint(GuestMemory::Hint& hint) const noexcept {
    if (elsewhere_ != nullptr) hint = *elsewhere_;
  }

 private:
  bool translate_elsewhere(GuestAddress address, std::size_t length, std::uint8_t*& found) noexcept {
    const GuestMemory::Hint& region = index_.likely_region(address);
    const std::uint64_t offset = address.value - region.guest;
    if (offset < region.size && length <= region.size - offset) [[likely]] {
      elsewhere_ = &region;
      found = region.host + offset;
      return true;
    }
    found = memory_.translate(address, length).data;
    return found != nullptr;
  }

  const GuestMemory& memory_;
  const GuestMemory::Index index_;
  std::uint64_t guest_;
  std::uint64_t surely_inside_;  // from an offset below this, length_max bytes lie in the region
  std::uint8_t* host_;
  const GuestMemory::Hint* elsewhere_ = nullptr;
};

}  // namespace vhostx::memory
