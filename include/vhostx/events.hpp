// SPDX-License-Identifier: BSD-3-Clause
// What happens to a Port, as typed values.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include <vhostx/export.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring_fault.hpp>

namespace vhostx {

class Port;

/// A front-end is connected; nothing is negotiated yet.
struct FrontEndConnected {
  /// Its connection was another process's (BackendOptions::keeper). The events of features, memory and vrings follow as
  /// always.
  bool adopted = false;
};
/// The connection ended; every vring was stopped before. Not delivered when the Port is destroyed. `reason.code` is
/// `closed` when the front-end or Port::disconnect() closed the connection.
struct FrontEndDisconnected {
  Error reason;  ///< Why it ended.
};
/// SET_FEATURES: the virtio feature bits that are in force from now on.
struct FeaturesNegotiated {
  std::uint64_t features = 0;  ///< Negotiated virtio feature bits.
};
/// The table of guest memory was replaced, or a region was added or removed.
struct MemoryChanged {
  std::uint32_t regions = 0;  ///< Regions of guest memory now.
  std::uint64_t bytes = 0;    ///< Bytes of all regions together.
};
/// The ring has become ready, or is not ready any more. It is ready once everything needed to start is present: size,
/// addresses, memory, features and the kick descriptor. It then starts with the first kick. That kick may come late or
/// never: a guest that only listens does not kick its transmit ring. It is not ready any more when it was stopped or
/// the connection ended, whether it had started or not.
struct VringReady {
  std::uint16_t index = 0;  ///< Index of the vring.
  bool ready = false;       ///< Whether it is ready now.
};
/// The ring started: its first kick came, or it needs none (its driver polls, the ring was in use before, or buffers
/// wait in it).
struct VringStarted {
  std::uint16_t index = 0;  ///< Index of the vring.
};
/// The ring stopped: no burst is running on it, and its kick descriptor is closed after this event. Also delivered when
/// a running ring gets another kick descriptor: then VringStarted follows at once.
struct VringStopped {
  std::uint16_t index = 0;  ///< Index of the vring.
};
/// The front-end enabled or disabled the ring. The end of a connection disables all rings without this event.
struct VringEnabled {
  std::uint16_t index = 0;  ///< Index of the vring.
  bool enabled = false;     ///< Whether it is enabled now.
};
/// The driver broke the specification: the ring does nothing more until it is stopped and started again. Or the ring
/// itself is not, or no longer, in guest memory: then the fault is outside_memory with the front-end's address of the
/// descriptor table, and VringStopped follows if the ring had started.
struct VringBroken {
  std::uint16_t index = 0;  ///< Index of the vring.
  VringFault fault;         ///< What the driver did.
};
/// NET_SET_MTU: the guest's MTU, 68 to 65535 bytes.
struct MtuSet {
  std::uint16_t mtu = 0;  ///< In bytes.
};
/// SEND_RARP: the guest moved to this host. The library itself delivers a RARP frame, in the next dequeue burst or
/// Transfer of vring 1 while that is enabled.
struct RarpRequested {
  std::array<std::uint8_t, 6> mac{};  ///< The guest's MAC address.
};
/// SET_STATUS: the VIRTIO device status field (VIRTIO 1.2, 2.1), as GET_STATUS returns it from now on. 0: a reset.
struct StatusSet {
  std::uint8_t status = 0;  ///< Bits of the field.
};

/// The library needs lent buffers of this vring back: free their mbufs. There are two causes:
///   * The ring is stopping. The stop waits for the loans, PortOptions::loan_timeout at most. Borrowed buffers can no
///     longer be committed.
///   * The memory table of the loans was replaced. Nothing waits: the library keeps the old pages for the loans, and
///     borrowed buffers can still be committed. While several old tables are kept, packets are copied.
struct LoansRecalled {
  std::uint16_t index = 0;        ///< Index of the vring.
  std::uint32_t outstanding = 0;  ///< Lent packets or borrowed buffers that are out.
};
/// PortOptions::loan_timeout has passed, and the ring stops. Its driver has these buffers back and may write into them
/// while mbufs still refer to them. The pages stay mapped until the last of those mbufs is freed.
struct LoansOverdue {
  std::uint16_t index = 0;        ///< Index of the vring.
  std::uint32_t outstanding = 0;  ///< As LoansRecalled::outstanding.
};

/// The vring's memory or the library's state for it is on other nodes than at the last look. Consider moving its
/// mempool and the lcore that serves it too (MempoolsByNode, lcores_on()). Only on machines with several nodes.
struct PlacementChanged {
  std::uint16_t index = 0;   ///< Index of the vring.
  int node = no_node;        ///< Node of the guest's memory: `placement.wanted_node`.
  VringPlacement placement;  ///< All that is known of the placement.
};

/// Client role: connecting to the socket failed. The library tries again. Delivered for the first failure after a
/// connection or after the Port was opened, and then only when errno changes.
struct ConnectFailed {
  Error error;  ///< The call, the path and errno.
};

/// Who serves a port that a keeper holds.
enum class PortOwnership {
  serving,      ///< This process does. If there was a connection, FrontEndConnected and the events of its vrings came
                ///< before.
  yielding,     ///< This process does, and another one has asked for it: after this event its vrings stop. A program
                ///< that forwards between ports may stop taking packets for it now, so that they stay in their rings.
  standing_by,  ///< Another process does. This one goes on when that has ended: `serving` follows.
  handed_over,  ///< Another process has taken the port over for good. Close this one.
};
/// Its name in JSON, e.g. "standing_by". Any thread.
VHOSTX_EXPORT const char* to_string(PortOwnership ownership) noexcept;

/// Another process (BackendOptions::keeper) serves the port, or no longer does. When this process has served it, its
/// vrings are stopped before, and FrontEndDisconnected came if there was a connection.
struct OwnershipChanged {
  PortOwnership ownership = PortOwnership::serving;  ///< From now on.
  int other_pid = 0;  ///< Who serves it instead; 0: this process does, or it is not known here.
};

/// Any event of a port.
using PortEvent = std::variant<FrontEndConnected, FrontEndDisconnected, FeaturesNegotiated, MemoryChanged, VringStarted,
                               VringStopped, VringEnabled, VringBroken, MtuSet, RarpRequested, StatusSet, LoansRecalled,
                               LoansOverdue, PlacementChanged, VringReady, ConnectFailed, OwnershipChanged>;

/// Called on the control thread, one event at a time for each Backend, in the order in which things happened, with no
/// library lock held. It may call any public function, and may destroy the Port; it must not destroy the Backend. Keep
/// it short: no port of the Backend is served while it runs. The library catches and logs exceptions that it throws.
using EventHandler = std::function<void(Port&, const PortEvent&)>;

/// Name of the event in logs and JSON, e.g. "vring_started". A static string. Any thread.
VHOSTX_EXPORT const char* event_name(const PortEvent& event) noexcept;
/// Describes the event in one line, e.g. "vring 3 broken: outside_memory (head 7, 0xdead0000, 0x40)". Any thread.
VHOSTX_EXPORT std::string describe(const PortEvent& event);

}  // namespace vhostx
