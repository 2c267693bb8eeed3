// SPDX-License-Identifier: BSD-3-Clause
// Port: one vhost-user socket, and the device behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/export.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

namespace vhostx {

namespace backend {
class PortCore;
}

/// Who listens on the socket.
enum class Role {
  server,  ///< The library creates the socket; front-ends connect, one at a time. A stale file is replaced, a live one
           ///< is not.
  client,  ///< The front-end listens; the library connects, and again after each loss, with growing pauses.
};

/// How a Port shall be.
struct PortOptions {
  std::string socket_path;            ///< 1 to 107 bytes, not beginning with '@' (abstract sockets are not served:
                                      ///< they have no mode). Required.
  Role role = Role::server;           ///< Who listens.
  std::uint16_t queue_pairs_max = 1;  ///< 1 to 128.
  std::uint64_t features_masked = 0;  ///< Virtio feature bits not to offer, though the library could.

  /// Virtio feature bits to offer beside the default ones, because the application knows that its front-ends and guests
  /// do their part; docs/features.md has them all. Possible are, with their numbers:
  ///   * VIRTIO_F_RING_RESET (40): the front-end must tell of each reset of a queue, by GET_VRING_BASE, before
  ///     the driver may free that queue's buffers. No QEMU up to 11.1 does so for a vhost-user device: the guest's
  ///     memory is damaged.
  ///   * VIRTIO_F_IN_ORDER (35): the driver must be tried with it; DPDK's is. Not with zero_copy.
  ///   * VIRTIO_NET_F_GUEST_USO4 (54), _GUEST_USO6 (55), _HOST_USO (56): the application must know UDP segments.
  /// Default bits are allowed and change nothing. What features_masked has too is not offered.
  std::uint64_t features_extra = 0;
  /// The same of the vhost-user protocol's feature bits. Possible are:
  ///   * BACKEND_REQ (5): used by INBAND_NOTIFICATIONS alone.
  ///   * RESET_DEVICE (13): after it the front-end must set up the rings anew.
  ///   * INBAND_NOTIFICATIONS (14): the front-end must send VRING_KICK and serve VRING_CALL and VRING_ERR wherever it
  ///     passes no eventfd. QEMU takes the bit and does not. Needs BACKEND_REQ.
  ///   * GPA_ADDRESSES (21): the front-end must give guest addresses for its rings. QEMU does since 11.1.
  std::uint64_t protocol_features_extra = 0;
  std::uint16_t memory_slots_max = 512;  ///< 8 to 4096 regions of guest memory.
  std::uint64_t memory_bytes_max = 0;    ///< All regions together, up to 2^63 bytes. 0: twice the machine's memory (RAM
                                         ///< and swap), at least 4 GiB, and where a control group limits the process's
                                         ///< memory at most 32 times that limit: page tables for it cost 1/512 of it.
  std::chrono::milliseconds message_timeout{
      5000};  ///< 1 ms to 24 h. For a message that has begun to arrive, and for acknowledgements of the library's own
              ///< requests; an idle peer has no limit.
  std::chrono::milliseconds reconnect_delay_min{
      100};  ///< Client role: the first pause, 1 ms to 24 h; doubled each time.
  std::chrono::milliseconds reconnect_delay_max{2000};  ///< Client role: the longest pause, up to 24 h.

  /// Lends the guest's buffers instead of copying: see Vring::dequeue_burst and Vring::borrow_burst. Buffers come back
  /// in any order then, so that IN_ORDER cannot be asked for.
  bool zero_copy = false;
  std::uint32_t copy_below = 1024;  ///< Packets of fewer bytes are copied all the same, 0 to 65536.
  std::uint16_t loans_max = 0;      ///< Entries of one ring that are out at the same time, at most half of the ring, 0
                                    ///< to 32768; then packets are copied. 0: half of the ring.
  std::chrono::milliseconds loan_timeout{
      100};  ///< How long a ring that stops waits for its loans, 0 to 60 s. See LoansRecalled.

  NumaPolicy numa = NumaPolicy::follow;  ///< On a machine with one node there is nothing to follow, whatever this says.
  std::chrono::milliseconds numa_interval{
      500};  ///< Between two looks at where the memory of running vrings is, 10 ms to 24 h; 0: looked at only when a
             ///< ring starts, when memory changes, and by Port::look_at_placement().

  // Server role only. Set before anybody can connect.
  std::optional<std::uint32_t> socket_mode;   ///< Permission bits of the socket file, 0 to 0777: who may write may
                                              ///< connect. Not given: the umask's.
  std::optional<std::uint32_t> socket_group;  ///< The file's group, by number: one that the process is in, or any with
                                              ///< CAP_CHOWN. Not given: the kernel's choice.
};

/// What the library knows of the front-end now.
struct PortInfo {
  bool connected = false;                       ///< Whether there is one.
  std::uint64_t features_offered = 0;           ///< Virtio feature bits.
  std::uint64_t features = 0;                   ///< Negotiated; 0 before SET_FEATURES.
  std::uint64_t protocol_features_offered = 0;  ///< vhost-user protocol feature bits.
  std::uint64_t protocol_features = 0;          ///< Negotiated; 0 before SET_PROTOCOL_FEATURES.
  std::uint32_t memory_regions = 0;             ///< Of guest memory.
  std::uint64_t memory_bytes = 0;               ///< Of all regions together.
  std::uint32_t memory_regions_for_dma = 0;     ///< Of those, how many a device can be pointed at: with zero copy only.
  std::string dma_problem;                      ///< Why not all of them, of the first that cannot be; empty: all can.
  std::uint16_t mtu = 0;                        ///< From NET_SET_MTU; 0: not set.
  std::uint8_t status = 0;                      ///< From SET_STATUS.
  std::uint16_t vrings_named = 0;               ///< The highest index of a vring that a message has named, plus 1.
  std::uint64_t connections = 0;                ///< Front-ends served since the Port was opened.
  std::uint32_t releases_pending = 0;           ///< Descriptors and mappings that front-ends left and whose close() or
                                                ///< munmap() has not returned yet.
};

/// Made by Backend::open_port. Destroying it ends the connection, stops its vrings, waits for bursts in progress and
/// removes the socket file; the application must have stopped calling its vrings. A burst that does not end, by misuse,
/// is waited for 5 s: then the log says which vring's it is, and the memory that it uses is kept. No event is delivered
/// any more, also none of those that this causes. Allowed from its own event handler. Threads: as Backend::open_port.
class VHOSTX_EXPORT Port {
 public:
  /// The library's: Backend::open_port() makes a Port.
  VHOSTX_HIDDEN explicit Port(std::shared_ptr<backend::PortCore> core) noexcept;
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  /// The virtio feature bits that a port with these options offers: PortInfo::features_offered before there is a port.
  /// Any thread.
  static std::uint64_t offered_features(const PortOptions& options) noexcept;

  /// As it was opened with; good for the Port's life. Any thread.
  const PortOptions& options() const noexcept;
  /// PortOptions::socket_path.
  const std::string& socket_path() const noexcept { return options().socket_path; }

  /// 2 * queue_pairs_max of them exist from the start, whatever is negotiated.
  std::uint16_t vring_count() const noexcept;
  /// `index` below vring_count() (asserted). The reference is good for the Port's life.
  Vring& vring(std::uint16_t index) noexcept;
  /// The vring that carries packets to the guest in queue pair `pair`.
  Vring& to_guest(std::uint16_t pair = 0) noexcept { return vring(static_cast<std::uint16_t>(2 * pair)); }
  /// The vring that carries packets from the guest in queue pair `pair`.
  Vring& from_guest(std::uint16_t pair = 0) noexcept { return vring(static_cast<std::uint16_t>(2 * pair + 1)); }

  /// Any thread.
  PortInfo info() const;

  /// Looks now at where the memory of the running vrings is, and moves the state that lies elsewhere; what changed is
  /// an event (PlacementChanged). Waits for the control thread; not for the data path. Any thread.
  void look_at_placement();
  /// Where the guest's memory lies, region by region. Holds the regions mapped while it looks, and waits for
  /// nobody. Any thread.
  std::vector<RegionPlacement> memory_placement() const;

 private:
  std::shared_ptr<backend::PortCore> core_;
};

}  // namespace vhostx
