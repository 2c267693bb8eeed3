// SPDX-License-Identifier: BSD-3-Clause
// The log of pages that a back-end has written, and the requests about it (vhost-user "Migration").
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

/// A bit for each page of 4096 bytes of guest memory, in a file of its own, where it may begin behind an offset.
class DirtyLog {
 public:
  static constexpr std::uint64_t page_bytes = 4096;
  static constexpr std::size_t bytes = std::size_t{1} << 18;  ///< Of 8 GiB of guest memory.

  /// `offset`: a multiple of 4096. Throws Decided.
  explicit DirtyLog(std::size_t offset = 0);
  DirtyLog(const DirtyLog&) = delete;
  DirtyLog& operator=(const DirtyLog&) = delete;
  ~DirtyLog();

  /// SET_LOG_BASE; the size of the reply. Throws Decided (failed) where it has none of the forms in use.
  std::size_t share(Guest& guest) const;
  bool dirty(std::uint64_t guest_address) const noexcept;
  /// Pages that are marked, and bytes before the offset that are not 0.
  std::size_t count() const noexcept;
  std::size_t strays() const noexcept;
  void clear() noexcept;

 private:
  UniqueFd file_;
  std::size_t offset_;
  std::uint8_t* view_ = nullptr;
};

/// SET_FEATURES with VHOST_F_LOG_ALL or without it, and else with what the guest negotiated.
void set_logging(Guest& guest, bool on);
/// SET_VRING_ADDR: the same addresses again, with VHOST_VRING_F_LOG or without it.
void set_ring_logging(Guest& guest, std::uint32_t vring, bool on);
/// What SET_VRING_ADDR says where the ring is logged: the guest address of its used ring or device event.
std::uint64_t logged_at(Guest& guest, std::uint32_t vring);
/// The guest address of what the device writes for each chain: the ring's used ring, or its descriptor ring. A transmit
/// ring's is on a page that nothing else of the device's is on.
std::uint64_t used_ring_of(Guest& guest, std::uint32_t vring);
std::uint64_t guest_address_of(Guest& guest, const void* at);

}  // namespace vhostx::tools::probe
