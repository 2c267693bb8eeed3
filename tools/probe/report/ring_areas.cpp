// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/ring_areas.hpp"

#include <fmt/format.h>

#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {
namespace {

using protocol::VirtioFeature;

void find_guest_address(const SessionState& state, RingArea& area) {
  const RegionView* const view = has_io_addresses(state) ? nullptr : find_region(state, area.address, area.bytes);
  if (view == nullptr) return;
  area.region = static_cast<std::size_t>(view - state.regions.data());
  const RegionView* const last = area.bytes == 0 ? view : find_region(state, area.address + area.bytes - 1, 1);
  area.last_region = static_cast<std::size_t>((last != nullptr ? last : view) - state.regions.data());
  const auto& region = view->region;
  const std::uint64_t begin = has_guest_addresses(state) ? region.guest_address : region.front_end_address;
  area.guest_address = region.guest_address + (area.address - begin);
}

}  // namespace

bool has_io_addresses(const SessionState& state) noexcept {
  return state.features && state.features->has(VirtioFeature::iommu_platform);
}

std::optional<std::array<RingArea, 3>> areas_of(const SessionState& state, const RingView& ring) {
  if (!ring.addresses) return std::nullopt;
  const auto& at = *ring.addresses;
  const auto kinds = area_kinds(is_packed(state), ring.size.value_or(0));
  std::array<RingArea, 3> areas{{{kinds[0].name, 'D', at.descriptor, kinds[0].bytes, {}, 0, 0},
                                 {kinds[1].name, 'A', at.available, kinds[1].bytes, {}, 0, 0},
                                 {kinds[2].name, 'U', at.used, kinds[2].bytes, {}, 0, 0}}};
  for (RingArea& area : areas) find_guest_address(state, area);
  return areas;
}

std::string ranges_of(const std::vector<std::uint32_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", numbers[i]);
    if (last != i) text += fmt::format("{}{}", last == i + 1 ? ", " : "–", numbers[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace vhostx::tools::probe
