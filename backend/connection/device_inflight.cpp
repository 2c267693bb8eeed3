// SPDX-License-Identifier: BSD-3-Clause
// Device: the record of what is in flight, which the front-end keeps for the next back-end (vhost-user, "Inflight I/O
// tracking").
//
// A front-end asks for an area once (GET_INFLIGHT_FD), and hands it to each back-end before it starts rings
// (SET_INFLIGHT_FD). It has one region a queue. Each ring reads its own when it starts.
#include <utility>

#include "backend/connection/device.hpp"
#include "base/error.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::backend {

using virtqueue::InflightArea;

Result<void> Device::check_inflight(const protocol::Inflight& said) const {
  if (said.queue_count == 0 || said.queue_count > rings_.size())
    return protocol_violation("in-flight area for {} queues, expected 1 to {}", said.queue_count, rings_.size());
  if (said.queue_size == 0 || said.queue_size > virtqueue::ring_size_max)
    return protocol_violation("in-flight area for queues of {} entries, expected 1 to {}", said.queue_size,
                              virtqueue::ring_size_max);
  return {};
}

Result<UniqueFd> Device::create_inflight(protocol::Inflight& wanted) const {
  if (auto good = check_inflight(wanted); !good) return std::move(good).error();
  const InflightArea::Shape shape{wanted.queue_count, wanted.queue_size, ring_kind()};
  wanted.mmap_size = shape.bytes();
  wanted.mmap_offset = 0;
  return InflightArea::create_file(shape);
}

Result<void> Device::set_inflight(const protocol::Inflight& where, UniqueFd file) {
  if (auto good = check_inflight(where); !good) return good;
  if (auto good = check_no_ring_runs(); !good) return good;
  const InflightArea::Shape shape{where.queue_count, where.queue_size, ring_kind()};
  if (where.mmap_size < shape.bytes())
    return protocol_violation("in-flight area of {:#x} bytes, expected at least {:#x} for {} {} queues of {} entries",
                              where.mmap_size, shape.bytes(), where.queue_count, name_of(shape.kind), where.queue_size);
  auto area = InflightArea::map(std::move(file), where.mmap_offset, shape, parts_.attention, parts_.touch_budget);
  if (!area) return std::move(area).error();
  inflight_ = std::move(area).value();
  return {};
}

}  // namespace vhostx::backend
