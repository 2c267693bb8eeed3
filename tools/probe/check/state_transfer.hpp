// SPDX-License-Identifier: BSD-3-Clause
// What a back-end knows of its guest, taken out and brought in (vhost-user "Migrating back-end state").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

inline constexpr std::uint32_t state_save = 0;
inline constexpr std::uint32_t state_load = 1;
inline constexpr std::uint32_t state_phase_stopped = 0;

/// The answer to SET_DEVICE_STATE_FD.
struct StateAnswer {
  std::uint64_t error = 0;  ///< 0: it is accepted.
  UniqueFd channel;         ///< Where the state is read or written: our own pipe's end, or what came with the answer.
};

// ---- each throws Decided (failed) where the back-end does not play its part

/// SET_DEVICE_STATE_FD with an end of a new pipe.
StateAnswer begin_state(Guest& guest, std::uint32_t direction, std::uint32_t phase = state_phase_stopped);
/// CHECK_DEVICE_STATE: 0 where all went well.
std::uint64_t check_state(Guest& guest);
/// The whole of a save; its rings are stopped. CHECK_DEVICE_STATE is not asked.
std::vector<std::byte> save_state(Guest& guest);
/// The whole of a load, up to the end of the state; the result of CHECK_DEVICE_STATE.
std::uint64_t load_state(Guest& guest, std::span<const std::byte> state);

}  // namespace vhostx::tools::probe
