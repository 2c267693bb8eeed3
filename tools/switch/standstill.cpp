// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/standstill.hpp"

#include "tools/switch/worker.hpp"

namespace vhostx::tools {

/// The number is there before the version changes; a worker that sees the new version sees the number. All are asked
/// before the first one is waited for.
Standstill::Standstill(Fabric& fabric, const Room& room) noexcept : fabric_(fabric) {
  fabric_.room = room;
  const auto number = fabric_.standstill.fetch_add(1, std::memory_order_acq_rel) + 1;
  fabric_.lanes_changed();
  for (auto* worker : fabric_.workers) worker->wake();
  for (auto* worker : fabric_.workers) has_room_ &= worker->wait_until_it_stands(number);
}

Standstill::~Standstill() {
  fabric_.standstill.fetch_add(1, std::memory_order_acq_rel);
  fabric_.standstill.notify_all();
}

}  // namespace vhostx::tools
