// SPDX-License-Identifier: BSD-3-Clause
// Port: one vhost-user socket, and the device behind it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vhostx/events.hpp>
#include <vhostx/export.hpp>
#include <vhostx/features.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/queue_pairs.hpp>
#include <vhostx/result.hpp>
#include <vhostx/vring.hpp>

namespace vhostx {

namespace backend {
class PortCore;
}

/// Which side listens on the socket.
enum class Role {
  server,  ///< The library creates the socket; front-ends connect, one at a time. The library replaces a stale socket
           ///< file, but not one on which a process listens.
  client,  ///< The front-end listens. The library connects, and reconnects after each loss, with growing pauses.
};

/// Options for a port.
struct PortOptions {
  std::string socket_path;  ///< Required, but with listen_fd. 1 to 107 bytes without a zero byte. The first is not '@':
                            ///< abstract sockets are not supported, because they have no mode.
  Role role = Role::server;           ///< Which side listens.
  std::uint16_t queue_pairs_max = 1;  ///< 1 to 128.
  std::uint64_t features_masked = 0;  ///< Virtio feature bits that the port does not offer. Features that depend on one
                                      ///< of them (VIRTIO 1.2, 5.1.3.1) are not offered either; without
                                      ///< VHOST_USER_F_PROTOCOL_FEATURES (30), no protocol features are.

  /// Virtio feature bits to offer in addition to the default ones, if your front-ends and guests support them.
  /// docs/features.md lists all bits. feature_bits() makes a set. Allowed, with their numbers:
  ///   * VIRTIO_F_RING_RESET (40): the front-end must report each reset of a queue, by GET_VRING_BASE, before the
  ///     driver may free that queue's buffers. No QEMU up to 11.1 does so for a vhost-user device: the guest's
  ///     memory is damaged.
  ///   * VIRTIO_F_IN_ORDER (35): test the driver with it first; DPDK's was. Not with zero_copy.
  ///   * VIRTIO_NET_F_GUEST_USO4 (54), _GUEST_USO6 (55), _HOST_USO (56): the application must handle UDP segments.
  /// Default bits are allowed and change nothing. A bit that is also in features_masked is not offered.
  std::uint64_t features_extra = 0;
  /// vhost-user protocol feature bits to offer in addition to the default ones. Allowed, with their numbers:
  ///   * BACKEND_REQ (5): used only by INBAND_NOTIFICATIONS.
  ///   * INFLIGHT_SHMFD (12): the front-end must keep the record and bring it to the next back-end. Writing it costs
  ///     some 50 instructions a packet.
  ///   * RESET_DEVICE (13): after it the front-end must set up the rings again.
  ///   * INBAND_NOTIFICATIONS (14): the front-end must send VRING_KICK and handle VRING_CALL and VRING_ERR wherever it
  ///     passes no eventfd. QEMU accepts the bit and does not. Requires BACKEND_REQ.
  ///   * GPA_ADDRESSES (21): the front-end must give guest addresses for its rings. QEMU does since 11.1.
  std::uint64_t protocol_features_extra = 0;
  std::uint16_t memory_slots_max = 512;  ///< Regions of guest memory, 8 to 4096.
  std::uint64_t memory_bytes_max = 0;    ///< Bytes of all regions together, up to 2^63. 0: twice the machine's memory
                                         ///< (RAM and swap), but at most 32 times the memory limit of the process's
                                         ///< control group, if it has one, and at least 4 GiB. Page tables for guest
                                         ///< memory cost 1/512 of it.
  std::chrono::milliseconds message_timeout{
      5000};  ///< Time for the rest of a message that has started to arrive, and for acknowledgements of the library's
              ///< own requests, 1 ms to 24 h. An idle peer has no time limit.
  std::chrono::milliseconds reconnect_delay_min{
      100};  ///< Client role: the first pause, 1 ms to 24 h; it doubles after each failure.
  std::chrono::milliseconds reconnect_delay_max{2000};  ///< Client role: longest pause, reconnect_delay_min to 24 h.

  /// Lends the guest's buffers instead of copying: see Vring::dequeue_burst and Vring::borrow_burst. Buffers are then
  /// returned in any order, so features_extra cannot have VIRTIO_F_IN_ORDER.
  bool zero_copy = false;
  std::uint32_t copy_below = 1024;  ///< Zero copy: smaller packets, in bytes, are copied, 0 to 65536.
  std::uint16_t loans_max = 0;      ///< Zero copy: ring entries that may be out at the same time, per ring, 0 to 32768
                                    ///< and at most half of the ring; further packets are copied. 0: half of the ring.
                                    ///< At most 4096 packets or buffers of a ring are out in any case.
  std::chrono::milliseconds loan_timeout{
      100};  ///< Zero copy: how long a ring that stops waits for its loans, 0 to 60 s. See LoansRecalled.

  NumaPolicy numa = NumaPolicy::follow;  ///< No effect on a machine with one node, where nothing is moved.
  std::chrono::milliseconds numa_interval{
      500};  ///< Interval at which the library looks where the memory of running vrings is, 10 ms to 24 h. 0: it looks
             ///< only when a ring is ready or starts, when memory changes, and in Port::look_at_placement().

  // Server role only. Set before a front-end can connect.
  std::optional<std::uint32_t> socket_mode{};  ///< Permission bits of the socket file, 0 to 0777. A process needs write
                                               ///< permission to connect. Not set: the umask decides.
  std::optional<std::uint32_t> socket_group{};  ///< Group of the socket file, by number: one that the process is in,
                                                ///< or, with CAP_CHOWN, any. Not set: the kernel decides.

  /// Server role: a socket that somebody else has bound and on which it listens, such as systemd (socket activation,
  /// sd_listen_fds(3)) or an earlier version of the program. It must be a listening AF_UNIX stream socket that is bound
  /// to a path. The port uses a duplicate and makes the socket non-blocking. The caller keeps its own descriptor, and
  /// may close it after open_port(). When the port ends, it leaves the socket listening for the other holders, and the
  /// file in place. socket_path must be empty, or the path to which the socket is bound; Port::options() has it
  /// afterwards. socket_mode and socket_group must not be set: whoever bound the socket chose them. -1: none, the port
  /// binds socket_path itself.
  int listen_fd = -1;

  bool count_sizes = false;  ///< Counts packets by size and destination: Vring::packet_sizes(). A port without it pays
                             ///< nothing for it.

  /// The application's own state of this guest, which moves with the guest in a live migration
  /// (docs/live-migration.md), and with its connection from process to process where a keeper holds that
  /// (BackendOptions::keeper). Both must be set, or none. They make the port offer the protocol feature DEVICE_STATE
  /// (19). Called on the control thread, and all ports of the Backend wait meanwhile. They must not close, destroy or
  /// disconnect their port.
  ///
  /// Returns the state, at most state_bytes_max bytes. In a migration: the guest leaves, and its vrings are stopped; it
  /// may come back, as its migration can still fail. What is thrown is logged, and the guest does not move. With a
  /// keeper: also each state_interval while a front-end is connected and vrings run, and when the connection is left to
  /// another process, with the vrings stopped, within Port::close() or ~Port(), too. What is thrown is logged, and what
  /// was kept before stays.
  std::function<std::vector<std::byte>()> save_state{};
  /// The guest has come, with the bytes of save_state() at the other host, or its connection has, with those that the
  /// process before has kept; no vring runs yet, and FrontEndConnected was delivered (but not where open_port() is
  /// called in an event handler). The bytes are whole and unchanged, but their writer may be another version, and the
  /// guest's front-end, or whoever may use the keeper, can forge them. An error is logged: then nothing may have been
  /// loaded. A guest does not move then; a connection goes on without the state. Not called if there is no state.
  std::function<Result<void>(std::span<const std::byte>)> load_state{};
  std::uint32_t state_bytes_max = std::uint32_t{1} << 20;  ///< Largest state of the application, in bytes, 0 to
                                                           ///< 16 MiB.
  bool migrate_stats = false;  ///< Live migration: the counters of the vrings (Vring::stats()) move with the guest, and
                               ///< replace those of the port to which it comes. Makes the port offer DEVICE_STATE.
  std::chrono::milliseconds state_interval{1000};  ///< With a keeper: interval at which save_state() is called and the
                                                   ///< state kept if it has changed, 10 ms to 24 h. A process that is
                                                   ///< killed leaves what it kept last. 0: the state is kept only when
                                                   ///< the connection is left in order.
};

/// State of a port and of its present connection. Without a connection, what a front-end negotiates or sends is 0.
struct PortInfo {
  bool connected = false;                       ///< Whether a front-end is connected.
  bool standing_by = false;                     ///< Another process serves the port (OwnershipChanged).
  std::uint64_t features_offered = 0;           ///< Virtio feature bits that the port offers.
  std::uint64_t features = 0;                   ///< Negotiated virtio feature bits; 0 before SET_FEATURES.
  std::uint64_t protocol_features_offered = 0;  ///< vhost-user protocol feature bits that the port offers.
  std::uint64_t protocol_features = 0;          ///< Negotiated protocol feature bits; 0 before SET_PROTOCOL_FEATURES.
  std::uint32_t memory_regions = 0;             ///< Regions of guest memory.
  std::uint64_t memory_bytes = 0;               ///< Bytes of all regions together.
  std::uint32_t memory_regions_for_dma = 0;     ///< Zero copy: regions that devices can access; 0 without zero copy.
  std::string dma_problem;             ///< Zero copy: why devices cannot access the first of the others; empty:
                                       ///< they can access all.
  std::uint16_t mtu = 0;               ///< From NET_SET_MTU, in bytes; 0: not set.
  std::uint8_t status = 0;             ///< Device status (VIRTIO 1.2, 2.1), from SET_STATUS.
  std::uint16_t vrings_named = 0;      ///< Highest vring index that a message of this connection named, plus 1.
  std::uint64_t connections = 0;       ///< Connections since the Port was opened, with a keeper also those of
                                       ///< processes before.
  std::uint32_t releases_pending = 0;  ///< Descriptors and mappings of front-ends whose close() or munmap() has
                                       ///< not returned yet.
  std::string last_error;              ///< Why the last attempt to connect failed or the last connection ended; empty:
                                       ///< a front-end is connected, or nothing has happened yet.
  bool driver_ok = false;              ///< The guest's driver has said that it is ready: DRIVER_OK in `status`. If
                                       ///< the protocol feature STATUS was not negotiated: whether any vring is ready.
  std::uint16_t vrings_ready = 0;      ///< Vrings that are ready (VringReady).
  std::uint16_t queue_pairs_up = 0;    ///< Queue pairs that can carry packets both ways: both vrings are ready and
                                       ///< enabled, and neither is broken.
  bool link_up = false;                ///< As Port::link_up().
};

/// Counters of all vrings of a port together, by direction.
struct PortStats {
  VringStats from_guest;  ///< Of the vrings that carry packets from the guest.
  VringStats to_guest;    ///< Of the vrings that carry packets to the guest.
};

/// One vhost-user socket and the device behind it. Created by Backend::open_port(). The application owns it.
///
/// The destructor ends the connection, stops the vrings, waits for bursts in progress and removes the socket file. Stop
/// calling the port's vrings first; close() helps where other threads still poll them. If a burst does not end, by
/// misuse, the destructor waits 5 s for it; then it logs which vring it is and keeps the memory that the burst uses.
/// From then on no event is delivered, not even those that the destructor causes. An event handler may destroy its own
/// port. Threads: as for Backend::open_port().
class VHOSTX_EXPORT Port {
 public:
  /// Internal. Backend::open_port() creates a Port.
  VHOSTX_HIDDEN explicit Port(std::shared_ptr<backend::PortCore> core) noexcept;
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  /// The virtio feature bits that a port with these options would offer (PortInfo::features_offered). The options are
  /// not checked. Any thread.
  static std::uint64_t offered_features(const PortOptions& options) noexcept;

  /// The options that the port was opened with. Valid for the Port's life. Any thread.
  const PortOptions& options() const noexcept;
  /// PortOptions::socket_path. Valid for the Port's life. Any thread.
  const std::string& socket_path() const noexcept { return options().socket_path; }

  /// Number of vrings, 2 * queue_pairs_max. All exist from the start, whatever is negotiated. Any thread.
  std::uint16_t vring_count() const noexcept;
  /// The vring with this index, which must be below vring_count() (asserted). Valid for the Port's life. Any thread.
  Vring& vring(std::uint16_t index) noexcept;
  /// The vring with this index; null if there is none: the log has one warning a port that names index and count, from
  /// the control thread. Any thread.
  Vring* find_vring(std::uint32_t index) noexcept;
  /// The vring that carries packets to the guest in queue pair `pair`, which must be below queue_pairs_max. Any thread.
  Vring& to_guest(std::uint16_t pair = 0) noexcept { return vring(to_guest_index(pair)); }
  /// The vring that carries packets from the guest in queue pair `pair`, which must be below queue_pairs_max. Any
  /// thread.
  Vring& from_guest(std::uint16_t pair = 0) noexcept { return vring(from_guest_index(pair)); }

  /// Ends the present connection, as if the front-end had gone: the vrings stop, and FrontEndDisconnected follows, with
  /// the code `closed`; where loans are out, it waits for them as any stop does. The port goes on: in the server role
  /// it listens, in the client role it connects again after a pause. A front-end that reconnects is served anew.
  /// Returns whether there was a connection. An event handler may call this, for its own port too. Threads: as for
  /// Backend::open_port().
  bool disconnect() noexcept;

  /// After KeeperClaim::take_over, once the port is served: the process that handed it over may end. Until then that
  /// process goes on with the port if this one dies. Does nothing for a port that is not served by this process. What
  /// is confirmed for any port of a Backend is for its BackendOptions::state, too.
  /// Threads: as for Backend::open_port().
  void confirm_take_over() noexcept;

  /// Ends the connection, waits for bursts in progress, removes the socket file. The Port and its vrings stay, but do
  /// nothing any more: bursts return 0. So threads that poll the vrings can go on while they are told to stop; destroy
  /// the Port when they have. A Waiter that watches a vring wakes. No event is delivered from now on, not even those
  /// that this causes. A second call does nothing. An event handler may close its own port. Threads: as for
  /// Backend::open_port().
  void close() noexcept;

  /// State of the port now. Takes a lock and may throw std::bad_alloc: not for the data path. Any thread.
  PortInfo info() const;
  /// Whether packets can go both ways: at least one queue pair is up (PortInfo::queue_pairs_up). Vrings that are ready
  /// start with the guest's first kick. Takes no lock and allocates nothing. Any thread.
  bool link_up() const noexcept;
  /// Counters of all vrings together. Takes no lock and allocates nothing. Any thread.
  PortStats stats() const noexcept;
  /// Vring::reset_stats() for all vrings. Any thread.
  void reset_stats() noexcept;

  /// Looks now where the memory of the vrings is, and with NumaPolicy::follow moves the library's state there. The
  /// event PlacementChanged reports changes. Does nothing with NumaPolicy::off. Waits for the control thread: not for
  /// the data path. May throw std::bad_alloc. Threads: any, but with ControlThread::application only the thread that
  /// runs the control side.
  void look_at_placement();
  /// NUMA nodes of the guest's memory, region by region; empty without guest memory. Keeps the regions mapped while it
  /// looks, and does not wait for the control thread. Asks the kernel about each region, and may throw std::bad_alloc:
  /// not for the data path. Any thread.
  std::vector<RegionPlacement> memory_placement() const;

 private:
  std::shared_ptr<backend::PortCore> core_;
};

}  // namespace vhostx
