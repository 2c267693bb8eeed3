// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// vhostx_port: one vhost-user socket, and the device behind it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhostx/c/backend.h>
#include <vhostx/c/error.h>
#include <vhostx/c/events.h>
#include <vhostx/c/features.h>
#include <vhostx/c/placement.h>
#include <vhostx/c/state.h>
#include <vhostx/c/vring.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Which side listens on the socket.
enum vhostx_role {
  VHOSTX_ROLE_SERVER = 0,  ///< The library creates the socket; front-ends connect, one at a time. The library replaces
                           ///< a stale socket file, but not one on which a process listens.
  VHOSTX_ROLE_CLIENT = 1  ///< The front-end listens. The library connects, and reconnects after each loss, with growing
                          ///< pauses.
};

/// vhostx_port_options::socket_mode: the umask decides.
#define VHOSTX_SOCKET_MODE_OF_UMASK UINT32_MAX
/// vhostx_port_options::socket_group: the kernel decides.
#define VHOSTX_SOCKET_GROUP_OF_PROCESS UINT32_MAX

/// Options for a port. vhostx_port_options_init() sets the defaults, which are given at the end of each comment.
typedef struct vhostx_port_options {
  size_t size;                ///< Size of this struct in the caller's header.
  const char* socket_path;    ///< Required, but with listen_fd. 1 to 107 bytes. The first is not '@': abstract sockets
                              ///< are not supported, because they have no mode. Null.
  uint64_t features_masked;   ///< Virtio feature bits that the port does not offer. Features that depend on one of
                              ///< them (VIRTIO 1.2, 5.1.3.1) are not offered either; without
                              ///< VHOST_USER_F_PROTOCOL_FEATURES (30), no protocol features are. 0.
  uint64_t memory_bytes_max;  ///< Bytes of all regions together, up to 2^63. 0: twice the machine's memory (RAM and
                              ///< swap), but at most 32 times the memory limit of the process's control group, if it
                              ///< has one, and at least 4 GiB. Page tables for guest memory cost 1/512 of it. 0.
  int role;                   ///< One of vhostx_role. VHOSTX_ROLE_SERVER.
  int numa;                   ///< One of vhostx_numa_policy. VHOSTX_NUMA_FOLLOW.
  uint32_t message_timeout_ms;  ///< Milliseconds for the rest of a message that has started to arrive, and for
                                ///< acknowledgements of the library's own requests, 1 ms to 24 h. An idle peer has no
                                ///< time limit. 5000.
  uint32_t reconnect_delay_min_ms;  ///< Client role: the first pause, 1 ms to 24 h; it doubles after each failure. 100.
  uint32_t reconnect_delay_max_ms;  ///< Client role: the longest pause, reconnect_delay_min_ms to 24 h. 2000.
  uint32_t copy_below;              ///< Zero copy: smaller packets, in bytes, are copied, 0 to 65536. 1024.
  uint32_t loan_timeout_ms;         ///< Zero copy: how long a ring that stops waits for its loans, 0 to 60 s. See
                                    ///< VHOSTX_EVENT_LOANS_RECALLED. 100.
  uint32_t numa_interval_ms;  ///< Interval at which the library looks where the memory of running vrings is, 10 ms to
                              ///< 24 h. 0: it looks only when a ring is ready or starts, when memory changes, and in
                              ///< vhostx_port_look_at_placement(). 500.
  uint16_t queue_pairs_max;   ///< 1 to 128. 1.
  uint16_t memory_slots_max;  ///< Regions of guest memory, 8 to 4096. 512.
  uint16_t loans_max;         ///< Zero copy: ring entries that may be out at the same time, per ring, 0 to 32768 and at
                              ///< most half of the ring; further packets are copied. 0: half of the ring. At most 4096
                              ///< packets or buffers of a ring are out in any case. 0.
  bool zero_copy;             ///< Lends the guest's buffers instead of copying: see vhostx_vring_dequeue_burst() and
                   ///< vhostx_vring_borrow_burst(). features_extra cannot have VIRTIO_F_IN_ORDER then. false.
  uint8_t reserved;  ///< 0.
  /// Virtio feature bits to offer in addition to the default ones, if your front-ends and guests support them.
  /// docs/features.md lists all bits. vhostx/c/features.h has them as macros. Allowed, with their numbers:
  ///   * VIRTIO_F_RING_RESET (40): the front-end must report each reset of a queue, by GET_VRING_BASE, before the
  ///     driver may free that queue's buffers. No QEMU up to 11.1 does so for a vhost-user device: the guest's
  ///     memory is damaged.
  ///   * VIRTIO_F_IN_ORDER (35): test the driver with it first; DPDK's was. Not with zero_copy.
  ///   * VIRTIO_NET_F_GUEST_USO4 (54), _GUEST_USO6 (55), _HOST_USO (56): the application must handle UDP segments.
  /// Default bits are allowed and change nothing. A bit that is also in features_masked is not offered.
  /// Default: 0.
  uint64_t features_extra;
  /// vhost-user protocol feature bits to offer in addition to the default ones. Allowed, with their numbers:
  ///   * BACKEND_REQ (5): used only by INBAND_NOTIFICATIONS.
  ///   * INFLIGHT_SHMFD (12): the front-end must keep the record and bring it to the next back-end. Writing it costs
  ///     some 50 instructions a packet.
  ///   * RESET_DEVICE (13): after it the front-end must set up the rings again.
  ///   * INBAND_NOTIFICATIONS (14): the front-end must send VRING_KICK and handle VRING_CALL and VRING_ERR wherever it
  ///     passes no eventfd. QEMU accepts the bit and does not. Requires BACKEND_REQ.
  ///   * GPA_ADDRESSES (21): the front-end must give guest addresses for its rings. QEMU does since 11.1.
  /// Default: 0.
  uint64_t protocol_features_extra;
  uint32_t socket_mode;   ///< Server role: permission bits of the socket file, 0 to 0777, set before a front-end can
                          ///< connect. A process needs write permission to connect. VHOSTX_SOCKET_MODE_OF_UMASK.
  uint32_t socket_group;  ///< Server role: group of the socket file, by number: one that the process is in, or, with
                          ///< CAP_CHOWN, any. VHOSTX_SOCKET_GROUP_OF_PROCESS.
  /// Server role: a socket that somebody else has bound and on which it listens, such as systemd (socket activation,
  /// sd_listen_fds(3)) or an earlier version of the program. It must be a listening AF_UNIX stream socket that is bound
  /// to a path. The port uses a duplicate and makes the socket non-blocking. The caller keeps its own descriptor, and
  /// may close it after vhostx_port_open(). When the port ends, it leaves the socket listening for the other holders,
  /// and the file in place. socket_path must be null, or the path to which the socket is bound;
  /// vhostx_port_socket_path() has it afterwards. socket_mode and socket_group must not be set: whoever bound the
  /// socket chose them. Default: -1, the port binds socket_path itself.
  int listen_fd;
  bool count_sizes;    ///< Counts packets by size and destination: vhostx_vring_get_packet_sizes(). A port without it
                       ///< pays nothing for it. false.
  bool migrate_stats;  ///< Live migration: the counters of the vrings move with the guest, and replace those of the
                       ///< port to which it comes. Makes the port offer DEVICE_STATE. false.
  uint8_t reserved_2[2];  ///< 0.
  /// The application's own state of this guest, which moves with the guest in a live migration
  /// (docs/live-migration.md), and with its connection from process to process where a keeper holds that
  /// (vhostx_backend_options::keeper). Both must be set, or none. They make the port offer the protocol feature
  /// DEVICE_STATE (19). Called on the control thread, and all ports of the backend wait meanwhile. They must not close,
  /// destroy or disconnect their port. Null.
  vhostx_save_state save_state;
  vhostx_load_state load_state;  ///< See save_state. Null.
  void* state_user;              ///< `user` of both. Null.
  uint32_t state_bytes_max;      ///< Largest state of the application, in bytes, 0 to 16 MiB. 1048576.
  uint32_t state_interval_ms;  ///< With a keeper: interval at which save_state() is called and the state kept if it has
                               ///< changed, 10 ms to 24 h. A process that is killed leaves what it kept last. 0: the
                               ///< state is kept only when the connection is left in order. 1000.
} vhostx_port_options;

/// State of a port and of its present connection. Without a connection, what a front-end negotiates or sends is 0.
typedef struct vhostx_port_info {
  uint64_t features_offered;           ///< Virtio feature bits that the port offers.
  uint64_t features;                   ///< Negotiated virtio feature bits; 0 before SET_FEATURES.
  uint64_t protocol_features_offered;  ///< vhost-user protocol feature bits that the port offers.
  uint64_t protocol_features;          ///< Negotiated protocol feature bits; 0 before SET_PROTOCOL_FEATURES.
  uint64_t memory_bytes;               ///< Bytes of all regions of guest memory together.
  uint64_t connections;                ///< Connections since the port was opened, with a keeper also before.
  uint32_t memory_regions;             ///< Regions of guest memory.
  uint32_t memory_regions_for_dma;     ///< Zero copy: regions that devices can access; 0 without zero copy.
  uint16_t mtu;                        ///< From NET_SET_MTU, in bytes; 0: not set.
  uint16_t vrings_named;               ///< Highest vring index that a message of this connection named, plus 1.
  uint8_t status;                      ///< Device status (VIRTIO 1.2, 2.1), from SET_STATUS.
  bool connected;                      ///< Whether a front-end is connected.
  char dma_problem[250];               ///< Zero copy: why devices cannot access the first of the other regions; "":
                                       ///< they can access all.
  uint64_t releases_pending;           ///< Descriptors and mappings of front-ends whose close() or munmap() has not
                                       ///< returned yet.
  char last_error[250];                ///< Why the last attempt to connect failed or the last connection ended; "": a
                                       ///< front-end is connected, or nothing has happened yet.
  uint16_t vrings_ready;               ///< Vrings that are ready (VHOSTX_EVENT_VRING_READY).
  uint16_t queue_pairs_up;             ///< Queue pairs that can carry packets both ways: both vrings are ready and
                                       ///< enabled, and neither is broken.
  bool driver_ok;                      ///< The guest's driver has said that it is ready: DRIVER_OK in `status`. If the
                                       ///< protocol feature STATUS was not negotiated: whether any vring is ready.
  bool link_up;                        ///< As vhostx_port_link_up().
  bool standing_by;                    ///< Another process serves the port (VHOSTX_EVENT_OWNERSHIP_CHANGED).
} vhostx_port_info;

/// Sets all defaults. `size`: sizeof *options. Options that the library does not know become 0. Any thread.
void vhostx_port_options_init(vhostx_port_options* options, size_t size);

/// Writes the virtio feature bits that a port with these options would offer (vhostx_port_info::features_offered) to
/// `features`. `options`: null for the defaults; their ranges are not checked. Errors: VHOSTX_INVALID_ARGUMENT (the
/// size or an enumeration), VHOSTX_UNSUPPORTED (an option that only a newer library knows), VHOSTX_OUT_OF_MEMORY. Any
/// thread.
int vhostx_port_offered_features(const vhostx_port_options* options, uint64_t* features, vhostx_error* error);

/// Opens a port and serves it at once. `options` is not used after the call. `on_event` may be null; `user` is passed
/// to it. Events may be delivered before the call has returned; they name the port that it returns.
///
/// Returns null on errors: VHOSTX_INVALID_ARGUMENT (an option out of range: the message has its name, value and range),
/// VHOSTX_UNSUPPORTED (an option that only a newer library knows), VHOSTX_BUSY (a process listens on that path, or the
/// file is not a socket), VHOSTX_SYSTEM (the call that failed, with its errno and, for the socket file, the path),
/// VHOSTX_OUT_OF_MEMORY. In the client role a missing listener is not an error: the port tries again.
///
/// Threads: any, but with VHOSTX_CONTROL_THREAD_APPLICATION only the thread that runs the control side.
vhostx_port* vhostx_port_open(vhostx_backend* backend, const vhostx_port_options* options,
                              vhostx_event_handler on_event, void* user, vhostx_error* error);

/// Ends the present connection, as if the front-end had gone: the vrings stop, and VHOSTX_EVENT_DISCONNECTED follows,
/// with the code VHOSTX_CLOSED; where loans are out, it waits for them as any stop does. The port goes on: in the
/// server role it listens, in the client role it connects again after a pause. A front-end that reconnects is served
/// anew. Returns whether there was a connection. An event handler may call this, for its own port too. Threads: as for
/// vhostx_port_open().
bool vhostx_port_disconnect(vhostx_port* port);

/// After VHOSTX_KEEPER_CLAIM_TAKE_OVER, once the port is served: the process that handed it over may end. Until then
/// that process goes on with the port if this one dies. Does nothing for a port that is not served by this process.
/// Threads: as for vhostx_port_open().
void vhostx_port_confirm_take_over(vhostx_port* port);

/// Closes a port: ends the connection, waits for bursts in progress, removes the socket file. The port and its vrings
/// stay, but do nothing any more: bursts return 0. So threads that poll the vrings can go on while they are told to
/// stop; destroy the port when they have. A waiter that watches a vring wakes. No event is delivered from now on, not
/// even those that this call causes. A second call does nothing. The port's own event handler may call it, once
/// vhostx_port_open() has returned. Threads: as for vhostx_port_open().
void vhostx_port_close(vhostx_port* port);

/// Closes a port, if it is not closed, waits for bursts in progress, and frees it with its vrings. Stop calling the
/// vrings first. Null is allowed. If a burst does not end, by misuse, the call waits 5
/// s for it; then it logs which vring it is and keeps the memory that the burst uses. From then on no event is
/// delivered, not even those that this call causes. The port's own event handler may call it, once vhostx_port_open()
/// has returned. Threads: as for vhostx_port_open().
void vhostx_port_destroy(vhostx_port* port);

/// Copies the options that the port was opened with. The port owns socket_path, for its life. `size`: sizeof *options.
/// Any thread.
void vhostx_port_get_options(const vhostx_port* port, vhostx_port_options* options, size_t size);
/// The path of the socket. The port owns it, for its life. Any thread.
const char* vhostx_port_socket_path(const vhostx_port* port);

/// Number of vrings, 2 * queue_pairs_max. All exist from the start, whatever is negotiated. Any thread.
uint16_t vhostx_port_vring_count(const vhostx_port* port);
/// The vring with this index; null if there is none: the log has one warning a port that names index and count. Calls
/// of a null vring do nothing: bursts return 0. Valid for the port's life. Any thread.
vhostx_vring* vhostx_port_vring(vhostx_port* port, uint16_t index);
/// The vring that carries packets to the guest in queue pair `pair`; null as with vhostx_port_vring(). Any thread.
vhostx_vring* vhostx_port_to_guest(vhostx_port* port, uint16_t pair);
/// The vring that carries packets from the guest in queue pair `pair`; null as with vhostx_port_vring(). Any thread.
vhostx_vring* vhostx_port_from_guest(vhostx_port* port, uint16_t pair);

/// Copies the state of the port now to `info`. `size`: sizeof *info. Error: VHOSTX_OUT_OF_MEMORY. Takes a lock: not for
/// the data path. Any thread.
int vhostx_port_get_info(const vhostx_port* port, vhostx_port_info* info, size_t size, vhostx_error* error);

/// Whether packets can go both ways: at least one queue pair is up (vhostx_port_info::queue_pairs_up). Vrings that are
/// ready start with the guest's first kick. Takes no lock and allocates nothing. Any thread.
bool vhostx_port_link_up(const vhostx_port* port);

/// Writes the first `count` counters of all vrings together, in the order of vhostx_counter: to `from_guest` those of
/// the vrings that carry packets from the guest, to `to_guest` the others. Either may be null. Counters that this
/// library does not have become 0. Takes no lock and allocates nothing. Returns how many of them the library has. Any
/// thread.
size_t vhostx_port_get_stats(const vhostx_port* port, uint64_t* from_guest, uint64_t* to_guest, size_t count);
/// vhostx_vring_reset_stats() for all vrings. Any thread.
void vhostx_port_reset_stats(vhostx_port* port);

/// Looks now where the memory of the vrings is, and with VHOSTX_NUMA_FOLLOW moves the library's state there. The event
/// VHOSTX_EVENT_PLACEMENT_CHANGED reports changes. Does nothing with VHOSTX_NUMA_OFF. Waits for the control thread: not
/// for the data path. Error: VHOSTX_OUT_OF_MEMORY. Threads: any, but with VHOSTX_CONTROL_THREAD_APPLICATION only the
/// thread that runs the control side.
int vhostx_port_look_at_placement(vhostx_port* port, vhostx_error* error);

/// NUMA nodes of the guest's memory, region by region; without regions if there is no guest memory. The caller owns the
/// result: release it with vhostx_memory_placement_free(). Asks the kernel about each region: not for the data path.
/// Null on error: VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_memory_placement* vhostx_port_get_memory_placement(const vhostx_port* port, vhostx_error* error);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
