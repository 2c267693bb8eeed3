// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/any_layout.hpp"

#include <utility>

#include "base/error.hpp"

namespace vhostx::virtqueue {
namespace {

RingPosition at(PackedPosition place) noexcept { return {.avail_next = place.value, .used_next = place.value}; }

// A driver that is in the midst of writing a chain has soon written it.
std::optional<PackedPosition> find_position(const PackedLayout& layout, PackedPosition expected) {
  constexpr int looks_most = 16;
  std::optional<PackedPosition> found;
  for (int look = 0; look < looks_most && !found; ++look) found = layout.find_position(expected);
  return found;
}

}  // namespace

Result<void> check_ring_size(RingKind kind, std::uint32_t size) {
  return kind == RingKind::split ? check_ring_size(size) : check_packed_size(size);
}

Result<AnyLayout> lay_out_ring(RingKind kind, const memory::GuestMemory& memory, const RingAddresses& addresses,
                               std::uint32_t size, RingFeatures features) {
  AnyLayout layout{.kind = kind};
  if (kind == RingKind::split) {
    auto split = lay_out_ring(memory, addresses, size, features);
    if (!split) return std::move(split).error();
    layout.split = std::move(split).value();
  } else {
    auto packed = lay_out_packed(memory, addresses, size, features);
    if (!packed) return std::move(packed).error();
    layout.packed = std::move(packed).value();
  }
  return layout;
}

std::uint32_t base_of(RingKind kind, const RingPosition& position) noexcept {
  return kind == RingKind::split ? position.base() : position.base() * 0x1'0001U;
}

Result<RingPosition> start_position(const AnyLayout& layout, std::uint32_t base) {
  if (layout.kind == RingKind::split) return resume(layout.split);
  const PackedPosition avail{static_cast<std::uint16_t>(base)};
  const PackedPosition used{static_cast<std::uint16_t>(base >> 16)};
  const std::uint32_t size = layout.packed.size;
  if (avail.index() >= size || used.index() >= size)
    return protocol_violation("base {:#x}: outside a packed ring of {} entries", base, size);
  const PackedPosition place = used.value == 0 ? avail : used;
  if (const auto found = find_position(layout.packed, place)) {
    layout.packed.finish_burst(*found);
    return at(*found);
  }
  if (!begins_afresh(base)) return at(place);
  return protocol_violation(
      "the base says that the packed ring is a fresh one, but it was in use, and does not show where the next chain "
      "begins: expected the base of GET_VRING_BASE, or a driver that starts anew");
}

}  // namespace vhostx::virtqueue
