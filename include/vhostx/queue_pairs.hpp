// SPDX-License-Identifier: BSD-3-Clause
// Numbers of vrings and queue pairs. VIRTIO 1.2, 5.1.2: the virtqueues of pair N (from 0) are 2 * N, the guest's
// receive queue, and 2 * N + 1, its transmit queue. The specification's names count from 1: receiveq1 and transmitq1
// are pair 0.
#pragma once

#include <cstdint>

#include <vhostx/cxx20.hpp>

namespace vhostx {

/// Index of the vring that carries packets to the guest in queue pair `pair`, 0 to 32767: the guest's receive queue,
/// into which the application transmits.
constexpr std::uint16_t to_guest_index(std::uint16_t pair) noexcept { return static_cast<std::uint16_t>(2 * pair); }
/// Index of the vring that carries packets from the guest in queue pair `pair`, 0 to 32767: the guest's transmit queue,
/// from which the application receives.
constexpr std::uint16_t from_guest_index(std::uint16_t pair) noexcept {
  return static_cast<std::uint16_t>(2 * pair + 1);
}
/// The queue pair to which the vring with this index belongs.
constexpr std::uint16_t queue_pair_of(std::uint16_t index) noexcept { return static_cast<std::uint16_t>(index / 2); }
/// Whether the vring with this index carries packets from the guest; else it carries packets to the guest.
constexpr bool is_from_guest(std::uint16_t index) noexcept { return (index & 1u) != 0; }

}  // namespace vhostx
