// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/ring_record.hpp"

#include <memory>
#include <utility>

#include "base/error.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::backend {
namespace {

using virtqueue::RingKind;

struct Place {
  std::shared_ptr<const virtqueue::InflightArea> area;  // null: the ring has none
  std::uint16_t queue = 0;
  bool is_own = false;
};

Result<Place> find_area(const RingEnvironment& environment, std::uint16_t ring, const virtqueue::AnyLayout& layout) {
  const auto& brought = environment.inflight;
  if (brought != nullptr && ring < brought->shape().queues) return Place{brought, ring, false};
  const auto& own = environment.own_inflight;
  if (own == nullptr || ring >= own->rings()) return Place{};
  auto area = own->area(ring, static_cast<std::uint16_t>(layout.size()), layout.kind);
  if (!area) return std::move(area).error();
  // A split ring that lends nothing needs none: used->idx alone says what was given back.
  const bool lent = environment.lends || !(*area)->is_new(0);
  if (layout.kind == RingKind::split && !lent) return Place{};
  return Place{std::move(area).value(), 0, true};
}

}  // namespace

Result<RingRecord> open_record(const RingEnvironment& environment, std::uint16_t ring,
                               const virtqueue::AnyLayout& layout) {
  auto place = find_area(environment, ring, layout);
  if (!place) return std::move(place).error();
  RingRecord opened{.is_own = place->is_own};
  if (layout.kind == RingKind::split) opened.position = virtqueue::resume(layout.split);
  if (place->area == nullptr) return opened;
  if (layout.kind == RingKind::split) {
    auto record = virtqueue::InflightRecord::open(std::move(place->area), place->queue, layout.split, *opened.position);
    if (!record) return std::move(record).error();
    opened.record.split = std::move(record).value();
    return opened;
  }
  auto record = virtqueue::PackedInflightRecord::open(std::move(place->area), place->queue, layout.packed);
  if (!record) return std::move(record).error();
  opened.record.packed = std::move(record).value();
  opened.position = opened.record.packed->position();
  return opened;
}

void RingRecord::End::stopped(bool by_front_end) noexcept {
  if (!record || (record.packed != nullptr && !by_front_end)) return;  // a front-end may stop the ring later
  if (record.packed != nullptr || is_own) record.end();
  record = {};
}

}  // namespace vhostx::backend
