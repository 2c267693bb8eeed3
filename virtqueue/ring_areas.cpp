// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/ring_areas.hpp"

#include <utility>

#include "base/error.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::HostSpan;

// In one region, else through a window over two, which `window` then keeps.
Result<HostSpan> find_area(const memory::GuestMemory& memory, const RingArea& area,
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

Result<HostSpan> translate_area(const memory::GuestMemory& memory, const RingArea& area,
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

bool overlap(const RingArea& a, const RingArea& b) noexcept {
  return a.address.value - b.address.value < b.size || b.address.value - a.address.value < a.size;
}

}  // namespace

Result<RingSpans> find_areas(const memory::GuestMemory& memory, const std::array<RingArea, 3>& areas) {
  RingSpans found;
  for (std::size_t i = 0; i < areas.size(); ++i) {
    const auto span = translate_area(memory, areas[i], found.windows[i]);
    if (!span) return span.error();
    found.spans[i] = *span;
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(areas[i], areas[j]))
        return protocol_violation("{} at front-end address {:#x} overlaps the {} at {:#x}", areas[i].name,
                                  areas[i].address.value, areas[j].name, areas[j].address.value);
  }
  return found;
}

}  // namespace vhostx::virtqueue
