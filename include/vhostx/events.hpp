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
struct FrontEndConnected {};
/// The connection is over; every vring was stopped before. Not delivered for a Port that is being destroyed.
/// `reason.code` is `closed` when the front-end simply left.
struct FrontEndDisconnected {
  Error reason;  ///< Why.
};
/// SET_FEATURES: the virtio feature bits in force from now on.
struct FeaturesNegotiated {
  std::uint64_t features = 0;  ///< Virtio feature bits.
};
/// The guest memory changed as a whole.
struct MemoryChanged {
  std::uint32_t regions = 0;  ///< How many there are now.
  std::uint64_t bytes = 0;    ///< Of all regions together.
};
/// Whether the front-end has given all that the ring needs: size, addresses, memory, features, and its kick descriptor.
/// Ready, the ring starts with the first kick, which may be long in coming: a guest that only listens never kicks the
/// ring that it would transmit on. Not ready any more: the ring was stopped, or its connection ended, whether it had
/// started or not.
struct VringReady {
  std::uint16_t index = 0;  ///< Of the vring.
  bool ready = false;       ///< Whether it is now.
};
/// The ring started: its first kick came, or it does not need one (its driver polls; it was in use before, or buffers
/// wait in it).
struct VringStarted {
  std::uint16_t index = 0;  ///< Of the vring.
};
/// The ring stopped: no burst is running on it, and its kick fd is about to be closed. Also when a ring that goes on
/// running has another kick fd: then VringStarted follows at once.
struct VringStopped {
  std::uint16_t index = 0;  ///< Of the vring.
};
/// The ring was enabled or disabled while the connection lives.
struct VringEnabled {
  std::uint16_t index = 0;  ///< Of the vring.
  bool enabled = false;     ///< Whether it is now.
};
/// The driver lied: the ring does nothing more until it is stopped and started again. Or the ring itself does not lie
/// in guest memory, or no longer: then the fault is outside_memory with the front-end's address of the descriptor
/// table, and VringStopped follows at once if the ring had started.
struct VringBroken {
  std::uint16_t index = 0;  ///< Of the vring.
  VringFault fault;         ///< What the driver did.
};
/// NET_SET_MTU: the guest's MTU, 68 to 65535 bytes.
struct MtuSet {
  std::uint16_t mtu = 0;  ///< In bytes.
};
/// SEND_RARP: the guest moved here. The library answers by itself with a RARP frame in the next dequeue burst of
/// vring 1.
struct RarpRequested {
  std::array<std::uint8_t, 6> mac{};  ///< The guest's address.
};
/// SET_STATUS: the VIRTIO device status field (VIRTIO 1.2, 2.1), as GET_STATUS answers it from now on. 0: a reset.
struct StatusSet {
  std::uint8_t status = 0;  ///< The field's bits.
};

/// The library wants lent buffers of this vring back: free their mbufs, or commit what was borrowed. The ring is about
/// to stop, which waits for that, PortOptions::loan_timeout at most; or the memory table that they belong
/// to was replaced, which waits for nothing: the pages are held for them, and while several old tables are held,
/// packets are copied.
struct LoansRecalled {
  std::uint16_t index = 0;        ///< Of the vring.
  std::uint32_t outstanding = 0;  ///< Packets, or borrowed buffers.
};
/// The time is over, and the ring stops. Its driver has these buffers back and may write into them, while the mbufs
/// still show them; the pages stay mapped until the last of those mbufs is freed.
struct LoansOverdue {
  std::uint16_t index = 0;        ///< Of the vring.
  std::uint32_t outstanding = 0;  ///< As LoansRecalled::outstanding.
};

/// The vring's memory or the library's state for it lies on other nodes than when it was last looked at: its mbufs and
/// the lcore that serves it are best brought along (MempoolsByNode, lcores_on()).
struct PlacementChanged {
  std::uint16_t index = 0;   ///< Of the vring.
  int node = no_node;        ///< Where the guest's memory is, `placement.wanted_node`.
  VringPlacement placement;  ///< All that is known.
};

/// Any of them.
using PortEvent = std::variant<FrontEndConnected, FrontEndDisconnected, FeaturesNegotiated, MemoryChanged, VringStarted,
                               VringStopped, VringEnabled, VringBroken, MtuSet, RarpRequested, StatusSet, LoansRecalled,
                               LoansOverdue, PlacementChanged, VringReady>;

/// Called on the control thread, one event at a time for each Backend, in the order in which things happened, with no
/// library lock held. It may call anything of the public interface, and may destroy the Port. While it runs, no
/// other port's messages are served: keep it short. Exceptions that leave it are swallowed and logged.
using EventHandler = std::function<void(Port&, const PortEvent&)>;

/// The event's name as it stands in logs and JSON, e.g. "vring_started".
VHOSTX_EXPORT const char* event_name(const PortEvent& event) noexcept;
/// The event as one line for people, e.g. "vring 3 broken: outside_memory (head 7, 0xdead0000, 0x40)".
VHOSTX_EXPORT std::string describe(const PortEvent& event);

}  // namespace vhostx
