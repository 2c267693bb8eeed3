// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/ring_layout.hpp"

#include <array>
#include <utility>

#include "base/error.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::FrontEndAddress;
using memory::HostSpan;

struct Area {
  const char* name;
  FrontEndAddress address;
  std::size_t size;
  std::uint64_t alignment;
};

// In one region, else through a window over two, which `window` then keeps.
Result<HostSpan> find_area(const memory::GuestMemory& memory, const Area& area,
                           std::shared_ptr<const memory::Window>& window) {
  if (const HostSpan span = memory.translate(area.address, area.size)) return span;
  auto over_two = memory::Window::map(memory, area.address, area.size);
  if (over_two) {
    window = *std::move(over_two);
    return window->bytes();
  }
  if (over_two.error().code == ErrorCode::system) return std::move(over_two).error();
  return protocol_violation("{} at front-end address {:#x}, {:#x} bytes: in no memory region", area.name,
                            area.address.value, area.size);
}

Result<HostSpan> translate_area(const memory::GuestMemory& memory, const Area& area,
                                std::shared_ptr<const memory::Window>& window) {
  if (area.address.value % area.alignment != 0)
    return protocol_violation("{} at front-end address {:#x}: not aligned to {} bytes", area.name, area.address.value,
                              area.alignment);
  auto span = find_area(memory, area, window);
  if (!span) return span;
  // Regions may be mapped at odd file offsets, so our own address is checked too.
  if (reinterpret_cast<std::uintptr_t>(span->data) % area.alignment != 0)
    return protocol_violation("{} at front-end address {:#x}: its region is not page-aligned", area.name,
                              area.address.value);
  return span;
}

bool overlap(const Area& a, const Area& b) noexcept {
  return a.address.value - b.address.value < b.size || b.address.value - a.address.value < a.size;
}

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
  const std::array<Area, 3> areas{{{"descriptor table", addresses.descriptors, bytes[0], 16},
                                   {"avail ring", addresses.avail, bytes[1], 2},
                                   {"used ring", addresses.used, bytes[2], 4}}};
  std::array<HostSpan, 3> spans;
  std::array<std::shared_ptr<const memory::Window>, 3> windows;
  for (std::size_t i = 0; i < areas.size(); ++i) {
    const auto span = translate_area(memory, areas[i], windows[i]);
    if (!span) return span.error();
    spans[i] = *span;
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(areas[i], areas[j]))
        return protocol_violation("{} at front-end address {:#x} overlaps the {} at {:#x}", areas[i].name,
                                  areas[i].address.value, areas[j].name, areas[j].address.value);
  }
  return RingLayout{.descriptors = spans[0].data,
                    .avail = AvailRing(spans[1].data, size),
                    .used = UsedRing(spans[2].data, size),
                    .size = size,
                    .features = features,
                    .windows = std::move(windows)};
}

}  // namespace vhostx::virtqueue
