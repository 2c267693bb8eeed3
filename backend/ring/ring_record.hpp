// SPDX-License-Identifier: BSD-3-Clause
// The record of what is in flight on a ring that starts: in the front-end's memory, or in the port's own.
#pragma once

#include <cstdint>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/ring/vring_config.hpp"

namespace vhostx::backend {

struct RingRecord {
  virtqueue::AnyRecord record;                      ///< Neither: the ring has none.
  std::optional<virtqueue::RingPosition> position;  ///< Where the ring goes on, if that is known.
  bool is_own = false;

  /// What becomes of it when the ring has stopped. A record of the port's own has a version while its ring runs and at
  /// no other time: so a process that adopts the connection finds what is in flight on rings that ran, and nothing of
  /// rings that have stopped, which may start again with other addresses, another size or another base. That of a
  /// packed ring also says where the ring is, which the next process wants to know: only a front-end that stops the
  /// ring ends it.
  struct End {
    virtqueue::AnyRecord record;
    bool is_own = false;

    void stopped(bool by_front_end) noexcept;
  };
};

/// Opens it and recovers what an earlier back-end has left. The front-end's is used if it has brought one for this
/// ring. Control thread. Errors: protocol_violation (the record does not fit the ring), system, out_of_memory.
Result<RingRecord> open_record(const RingEnvironment& environment, std::uint16_t ring,
                               const virtqueue::AnyLayout& layout);

}  // namespace vhostx::backend
