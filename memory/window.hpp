// SPDX-License-Identifier: BSD-3-Clause
// Window: maps bytes of two adjacent regions as one piece.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include <vhostx/result.hpp>

#include "memory/guest_memory.hpp"

namespace vhostx::memory {

/// A second mapping of the end of one region and the begin of the next, for areas that are read as one piece: with
/// virtio-mem there are many memory slots, and a driver's ring may cross the border of two. Keeps both regions mapped.
/// Immutable, except that a file may lose pages.
class Window {
 public:
  /// Maps [address, address + length). Errors: protocol_violation (it is not in two regions that are adjacent in both
  /// guest and front-end addresses, or their border is not a page border of both files), system (mmap, mremap).
  static Result<std::shared_ptr<const Window>> map(const GuestMemory& memory, FrontEndAddress address,
                                                   std::size_t length);

  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  HostSpan bytes() const noexcept { return bytes_; }
  /// The region whose file had no page for this mapping; null while it is whole. Any thread.
  const MappedRegion* lost() const noexcept;

 private:
  struct Part {
    std::shared_ptr<const MappedRegion> region;
    HostSpan pages;  // of the region's own mapping
    std::optional<LosableMapping> shown;
  };

  Window() = default;
  Result<void> reserve(std::size_t page);
  Result<void> show(Part& part, std::uint8_t* place);

  std::array<Part, 2> parts_;
  HostSpan reservation_;  // guard page, both parts, guard page
  HostSpan bytes_;
};

}  // namespace vhostx::memory
