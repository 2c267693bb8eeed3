// SPDX-License-Identifier: BSD-3-Clause
// The frames that a check sends: from a locally administered address, with ethertype 0x88b5, which IEEE 802 keeps for
// experiments, so that no station takes them for its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vhostx::tools::probe {

using Frame = std::vector<std::uint8_t>;

/// 64 bytes to 02:76:68:6f:73:02, or to everybody; `number` tells one from another.
Frame make_frame(std::uint32_t number, std::uint32_t bytes = 64, bool to_all = false);
/// Where a frame carries what make_frame() wrote: its number; else -1.
std::int64_t number_of(std::span<const std::uint8_t> frame) noexcept;

}  // namespace vhostx::tools::probe
