// SPDX-License-Identifier: BSD-3-Clause
// SessionState: what a front-end has set up, as the messages that would set it up again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "protocol/message.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::continuity {

/// Names a descriptor that a keeper holds, within one port's bundle. 0: none.
using Slot = std::uint32_t;
/// Where a port's own files are in its bundle.
inline constexpr Slot record_slot = 1;        ///< Its SessionRecord.
inline constexpr Slot own_inflight_slot = 4;  ///< What is in flight on its rings (virtqueue/inflight_store.hpp).
/// From here on: what messages have brought. Below are files and sockets of the port, and the front-end's socket.
inline constexpr Slot first_message_slot = 16;

/// How a ring is kicked (SET_VRING_KICK, VRING_KICK).
enum class KickKind : std::uint32_t { unarmed, descriptor, polled, in_band };

struct RingState {
  std::uint32_t size = 0;
  std::uint32_t base = 0;
  protocol::VringAddress address{};  ///< All zero: SET_VRING_ADDR has not come.
  KickKind kick_kind = KickKind::unarmed;
  Slot kick = 0;
  Slot call = 0;
  Slot error = 0;
  std::uint32_t enabled = 0;  ///< By SET_VRING_ENABLE.
  std::uint32_t padding = 0;  ///< What is compared, and written to a record, is all of it.

  friend bool operator==(const RingState& a, const RingState& b) noexcept;
};

struct RegionState {
  protocol::MemoryRegion region{};
  Slot file = 0;
  std::uint32_t additions = 1;  ///< How often ADD_MEM_REG brought it.

  friend bool operator==(const RegionState& a, const RegionState& b) noexcept;
};

/// The front-end's memory for the record of what is in flight (SET_INFLIGHT_FD).
struct InflightState {
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  std::uint16_t queues = 0;
  std::uint16_t queue_size = 0;
  Slot file = 0;  ///< 0: it has brought none.

  friend bool operator==(const InflightState&, const InflightState&) noexcept = default;
};

/// Control thread. Neither reads nor writes a descriptor.
struct SessionState {
  std::uint64_t features = 0;
  std::uint64_t protocol_features = 0;
  std::uint32_t features_set = 0;
  std::uint32_t protocol_features_set = 0;
  std::uint32_t status = 0;
  std::uint32_t mtu = 0;  ///< 0: NET_SET_MTU has not come.
  std::uint64_t log_bytes = 0;
  std::uint64_t log_offset = 0;
  Slot log = 0;
  Slot log_signal = 0;
  Slot back_end_socket = 0;
  Slot own_inflight = 0;  ///< The port's own record of what is in flight; 0: it has none. No message brings it.
  InflightState inflight;
  std::vector<RegionState> regions;
  std::vector<RingState> rings;

  friend bool operator==(const SessionState&, const SessionState&) noexcept = default;

  /// `message` was accepted. slots: of the descriptors that it brought, in their order. answer: the number of the reply
  /// to GET_VRING_BASE. A ring that it names is below rings.size().
  void apply(const protocol::Message& message, std::span<const Slot> slots, std::uint32_t answer);
  /// SET_LOG_BASE is forgotten.
  void forget_log() noexcept;

  /// Every slot that is named, without order.
  std::vector<Slot> slots() const;

  /// A message, the slots of the descriptors that it brings, and how often it comes.
  struct Step {
    protocol::Message message;
    std::vector<Slot> slots;
    std::uint32_t times = 1;
  };
  /// What sets it up again, in an order that every state of a back-end takes. Rings that were kicked in-band are
  /// kicked.
  std::vector<Step> steps() const;

 private:
  void apply_to_memory(const protocol::Message& message, std::span<const Slot> slots);
  void apply_to_ring(const protocol::Message& message, Slot slot, std::uint32_t answer);
  void reset() noexcept;
};

}  // namespace vhostx::continuity
