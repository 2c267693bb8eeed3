// SPDX-License-Identifier: BSD-3-Clause
// Standstill: the moment in which ports are added and removed: no worker is inside a round.
#pragma once

#include "tools/switch/fabric.hpp"

namespace vhostx::tools {

/// While it exists, each worker that runs waits between two rounds: it has no burst under way and looks at nothing of
/// the fabric, so all of that may be changed. Packets wait in the guests' rings meanwhile, so keep it short: open,
/// close and allocate before or after it. One at a time, not on a worker's thread, and Worker::run() is not called
/// meanwhile.
///
/// It costs workers nothing: they find it where they find that lanes have changed.
class Standstill {
 public:
  /// `room`: what each worker has to have room for. Waits until all workers wait, or have ended.
  Standstill(Fabric& fabric, const Room& room) noexcept;
  /// The workers go on, and look for their lanes anew.
  ~Standstill();
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;

  /// Whether each worker has that room. If not, memory is out: then lanes and queues must not become more.
  bool has_room() const noexcept { return has_room_; }

 private:
  Fabric& fabric_;
  bool has_room_ = true;
};

}  // namespace vhostx::tools
