// SPDX-License-Identifier: BSD-3-Clause
// What a queue marks in the dirty log of a guest that migrates: nothing, for a guest that does not.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "memory/address.hpp"
#include "memory/dirty_log.hpp"

namespace vhostx::virtqueue {

/// Marks pages after they were written, and before the driver is shown what was written.
template <typename M>
concept RingMarks = requires(const M& marks, memory::GuestAddress address, std::size_t bytes) {
  // Whether it marks anything; if not, guest addresses of buffers need not be kept.
  { M::active } -> std::convertible_to<bool>;
  // Bytes of a buffer.
  marks.mark(address, bytes);
  // Bytes of the part of the ring that the device writes, by their offset in it.
  marks.mark_ring(bytes, bytes);
};

/// Of a guest that does not migrate.
struct NoMarks {
  static constexpr bool active = false;
  void mark(memory::GuestAddress, std::size_t) const noexcept {}
  void mark_ring(std::size_t, std::size_t) const noexcept {}
};

/// Of a guest whose writes are logged.
struct LogMarks {
  static constexpr bool active = true;

  const memory::DirtyLog& log;
  std::optional<memory::GuestAddress> ring;  ///< Where its used ring is logged; none: it is not (VHOST_VRING_F_LOG).

  void mark(memory::GuestAddress address, std::size_t bytes) const noexcept { log.mark(address, bytes); }
  void mark_ring(std::size_t offset, std::size_t bytes) const noexcept {
    if (ring) log.mark({ring->value + offset}, bytes);
  }
};

}  // namespace vhostx::virtqueue
