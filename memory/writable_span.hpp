// SPDX-License-Identifier: BSD-3-Clause
// WritableSpan: guest memory that may be written, and write(), the only way to do so.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/address.hpp"

namespace vhostx::memory {

/// Bytes that a guest gave us to write, all in one region. It knows its guest address, so that write() can mark its
/// pages in the dirty log.
class WritableSpan {
 public:
  WritableSpan() = default;
  /// `found` is what `address` was translated to. Only a queue may say that it is to be written.
  WritableSpan(HostSpan found, GuestAddress address) noexcept
      : data_(const_cast<std::uint8_t*>(found.data)), size_(found.size), address_(address) {}

  /// To compare, to prefetch and to attach to mbufs, not to write.
  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  /// A part: the first bytes, or what follows them; at most size().
  WritableSpan first(std::size_t bytes) const noexcept { return {{data_, bytes}, address_}; }
  WritableSpan after(std::size_t bytes) const noexcept {
    return {{data_ + bytes, size_ - bytes}, {address_.value + bytes}};
  }

 private:
  template <typename Marks, typename Store>
  friend void write(const Marks& marks, const WritableSpan& to, Store store) noexcept;

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  GuestAddress address_;
};

/// Calls `store(bytes)`, which writes the span's bytes and no others, and marks their pages then: a mark that came
/// before the write could be taken away before it (see DirtyLog).
template <typename Marks, typename Store>
[[gnu::always_inline]] inline void write(const Marks& marks, const WritableSpan& to, Store store) noexcept {
  store(to.data_);
  marks.mark(to.address_, to.size_);
}

}  // namespace vhostx::memory
