// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/ring_layout.hpp"

#include <array>
#include <utility>

#include "base/error.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::HostSpan;

// Bytes of the three areas.
std::array<std::size_t, 3> extents(std::uint32_t size, RingFeatures features) noexcept {
  return {descriptor_table_bytes(size), AvailRing::extent(size, features.event_idx),
          UsedRing::extent(size, features.event_idx)};
}

}  // namespace

std::array<HostSpan, 3> RingLayout::areas() const noexcept {
  const auto bytes = extents(size, features);
  return {{{descriptors, bytes[0]}, {avail.begin(), bytes[1]}, {used.begin(), bytes[2]}}};
}

bool RingLayout::was_used() const noexcept {
  if (used.index() != 0 || used.flags() != 0 || avail.index_acquire() != 0) return true;
  return features.event_idx && used.avail_event() != 0;
}

bool RingLayout::is_untouched() const noexcept {
  const auto [address, rest] = descriptor(0);
  return avail.index_acquire() == 0 && used.index() == 0 && address == 0 && rest == 0;
}

Result<void> check_ring_size(std::uint32_t size) {
  if (size == 0 || size > ring_size_max || (size & (size - 1)) != 0)
    return protocol_violation("ring size {}: expected a power of two from 1 to {}", size, ring_size_max);
  return {};
}

Result<RingLayout> lay_out_ring(const memory::GuestMemory& memory, const RingAddresses& addresses, std::uint32_t size,
                                RingFeatures features) {
  if (auto good = check_ring_size(size); !good) return good.error();
  const auto bytes = extents(size, features);
  auto found = find_areas(memory, {{{"descriptor table", addresses.descriptors, bytes[0], 16},
                                    {"avail ring", addresses.avail, bytes[1], 2},
                                    {"used ring", addresses.used, bytes[2], 4}}});
  if (!found) return std::move(found).error();
  const auto& spans = found->spans;
  return RingLayout{.descriptors = spans[0].data,
                    .avail = AvailRing(spans[1].data, size),
                    .used = UsedRing(spans[2].data, size),
                    .size = size,
                    .features = features,
                    .windows = std::move(found->windows)};
}

}  // namespace vhostx::virtqueue
