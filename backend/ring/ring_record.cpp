// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/ring_record.hpp"

#include <utility>

#include "base/error.hpp"
#include "virtqueue/vring_cursor.hpp"

namespace vhostx::backend {
namespace {

using virtqueue::InflightRecord;

Result<RingRecord> open_own(const virtqueue::InflightStore& store, std::uint16_t ring,
                            const virtqueue::RingLayout& layout, const virtqueue::RingPosition& position) {
  auto area = store.area(ring, static_cast<std::uint16_t>(layout.size));
  if (!area) return std::move(area).error();
  auto record = InflightRecord::open(std::move(area).value(), 0, layout, position);
  if (!record) return std::move(record).error();
  return RingRecord{*record, *record};
}

}  // namespace

Result<RingRecord> open_record(const RingEnvironment& environment, std::uint16_t ring,
                               const virtqueue::RingLayout& layout, const virtqueue::RingPosition& position) {
  if (environment.inflight != nullptr && ring < environment.inflight->queues()) {
    auto record = InflightRecord::open(environment.inflight, ring, layout, position);
    if (!record) return std::move(record).error();
    return RingRecord{std::move(record).value(), nullptr};
  }
  if (environment.own_inflight != nullptr && ring < environment.own_inflight->rings())
    return open_own(*environment.own_inflight, ring, layout, position);
  return RingRecord{};
}

}  // namespace vhostx::backend
