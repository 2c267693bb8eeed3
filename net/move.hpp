// SPDX-License-Identifier: BSD-3-Clause
// Guest to guest, the receiver's side.
#pragma once

#include <cstdint>

#include "net/peeked_burst.hpp"
#include "net/ring_context.hpp"

namespace vhostx::net {

/// Copies packets of the burst, by number, into the receive buffers of another guest, in order. Behaves as enqueue(),
/// and counts VringCounter::moved. `to` is the receiver's.
template <Context C>
BurstResult move(const C& to, PeekedBurst& burst, const std::uint8_t* which, std::uint16_t count) noexcept;

}  // namespace vhostx::net
