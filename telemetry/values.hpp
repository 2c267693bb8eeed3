// SPDX-License-Identifier: BSD-3-Clause
// The values reported about a port. Names are those of vhostx-switch's JSON (tools/switch/report_json.cpp).
#pragma once

#include <vhostx/port.hpp>

#include "telemetry/dict.hpp"

namespace vhostx::telemetry {

Dict values_of(Port& port);
Dict values_of(const Vring& vring);
Dict values_of(const VringPlacement& placement);
Dict values_of(const RegionPlacement& region);

}  // namespace vhostx::telemetry
