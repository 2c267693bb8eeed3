// SPDX-License-Identifier: BSD-3-Clause
// The record of what is in flight on a ring that starts: in the front-end's memory, or in the port's own.
#pragma once

#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "backend/ring/vring_config.hpp"

namespace vhostx::backend {

/// Both null: the ring has none.
struct RingRecord {
  std::shared_ptr<virtqueue::InflightRecord> record;
  /// The same, if it is the port's own: end() it when the ring has stopped. Its region has a version while its ring
  /// runs and at no other time. So a process that adopts the connection finds what is in flight on rings that ran, and
  /// nothing of rings that have stopped, which may start again with other addresses, another size or another base.
  std::shared_ptr<virtqueue::InflightRecord> own;
};

/// Opens it and recovers what an earlier back-end has left. The front-end's is used if it has brought one for this
/// ring. Control thread. Errors: protocol_violation (the record does not fit the ring), system, out_of_memory.
Result<RingRecord> open_record(const RingEnvironment& environment, std::uint16_t ring,
                               const virtqueue::RingLayout& layout, const virtqueue::RingPosition& position);

}  // namespace vhostx::backend
