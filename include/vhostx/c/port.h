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
#include <vhostx/c/placement.h>
#include <vhostx/c/vring.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Who listens on the socket.
enum vhostx_role {
  VHOSTX_ROLE_SERVER = 0,  ///< The library creates the socket; front-ends connect, one at a time. A stale file is
                           ///< replaced, a live one is not.
  VHOSTX_ROLE_CLIENT = 1   ///< The front-end listens; the library connects, and again after each loss, with growing
                           ///< pauses.
};

/// vhostx_port_options::socket_mode: as the umask says.
#define VHOSTX_SOCKET_MODE_OF_UMASK UINT32_MAX
/// vhostx_port_options::socket_group: as bind(2) makes it.
#define VHOSTX_SOCKET_GROUP_OF_PROCESS UINT32_MAX

/// How a port shall be. vhostx_port_options_init() sets the defaults, which stand last in each line.
typedef struct vhostx_port_options {
  size_t size;                ///< Of this struct, as the caller knows it.
  const char* socket_path;    ///< 1 to 107 bytes, not beginning with '@' (abstract sockets are not served: they have
                              ///< no mode). Required.
  uint64_t features_masked;   ///< Virtio feature bits not to offer, though the library could. 0.
  uint64_t memory_bytes_max;  ///< All regions together, up to 2^63 bytes. 0: twice the machine's memory (RAM and swap),
                              ///< at least 4 GiB, and where a control group limits the process's memory at most 32
                              ///< times that limit: page tables for it cost 1/512 of it. 0.
  int role;                   ///< One of vhostx_role. VHOSTX_ROLE_SERVER.
  int numa;                   ///< One of vhostx_numa_policy. VHOSTX_NUMA_FOLLOW.
  uint32_t message_timeout_ms;  ///< Milliseconds, 1 to 24 h, for a message that has begun to arrive, and for
                                ///< acknowledgements of the library's own requests; an idle peer has no limit. 5000.
  uint32_t reconnect_delay_min_ms;  ///< Client role: the first pause, 1 ms to 24 h; doubled each time. 100.
  uint32_t reconnect_delay_max_ms;  ///< Client role: the longest pause, up to 24 h. 2000.
  uint32_t copy_below;              ///< Zero copy: packets of fewer bytes are copied all the same, 0 to 65536. 1024.
  uint32_t loan_timeout_ms;         ///< Zero copy: how long a ring that stops waits for its loans, 0 to 60 s. See
                                    ///< VHOSTX_EVENT_LOANS_RECALLED. 100.
  uint32_t numa_interval_ms;  ///< Between two looks at where the memory of running vrings is, 10 ms to 24 h; 0: looked
                              ///< at only when a ring starts, when memory changes, and by
                              ///< vhostx_port_look_at_placement(). 500.
  uint16_t queue_pairs_max;   ///< 1 to 128. 1.
  uint16_t memory_slots_max;  ///< 8 to 4096 regions of guest memory. 512.
  uint16_t loans_max;       ///< Zero copy: entries of one ring that are out at the same time, at most half of the ring,
                            ///< 0 to 32768; then packets are copied. 0: half of the ring. 0.
  bool zero_copy;           ///< Lends the guest's buffers instead of copying: see vhostx_vring_dequeue_burst() and
                            ///< vhostx_vring_borrow_burst(). IN_ORDER cannot be asked for then. false.
  uint8_t reserved;         ///< 0.
  uint64_t features_extra;  ///< Virtio feature bits to offer beside the default ones, because the application knows
                            ///< that its front-ends and guests do their part: VIRTIO_F_RING_RESET (40; the front-end
                            ///< must tell of each reset of a queue, by GET_VRING_BASE before the driver may free that
                            ///< queue's buffers, which no QEMU up to 11.1 does for a vhost-user device),
                            ///< VIRTIO_F_IN_ORDER (35; not with zero_copy), VIRTIO_NET_F_GUEST_USO4 (54),
                            ///< _GUEST_USO6 (55), _HOST_USO (56; the application must know UDP segments). What
                            ///< features_masked has too is not offered. See docs/features.md. 0.
  uint64_t protocol_features_extra;  ///< The same of the vhost-user protocol: BACKEND_REQ (5), RESET_DEVICE (13),
                                     ///< INBAND_NOTIFICATIONS (14; the front-end must send VRING_KICK and serve
                                     ///< VRING_CALL and VRING_ERR wherever it passes no eventfd, which QEMU does not;
                                     ///< needs BACKEND_REQ), GPA_ADDRESSES (21; the front-end must give guest
                                     ///< addresses for its rings, as QEMU does since 11.1). 0.
  uint32_t socket_mode;   ///< Server role: permission bits of the socket file, 0 to 0777, set before anybody can
                          ///< connect: who may write may connect. VHOSTX_SOCKET_MODE_OF_UMASK.
  uint32_t socket_group;  ///< Server role: the file's group, by number: one that the process is in, or any with
                          ///< CAP_CHOWN. VHOSTX_SOCKET_GROUP_OF_PROCESS.
} vhostx_port_options;

/// What the library knows of the front-end now.
typedef struct vhostx_port_info {
  uint64_t features_offered;           ///< Virtio feature bits.
  uint64_t features;                   ///< Negotiated; 0 before SET_FEATURES.
  uint64_t protocol_features_offered;  ///< vhost-user protocol feature bits.
  uint64_t protocol_features;          ///< Negotiated.
  uint64_t memory_bytes;               ///< Of all regions of guest memory.
  uint64_t connections;                ///< Front-ends served since the port was opened.
  uint32_t memory_regions;             ///< How many there are.
  uint32_t memory_regions_for_dma;     ///< Of those, how many a device can be pointed at: with zero copy only.
  uint16_t mtu;                        ///< From NET_SET_MTU; 0: not set.
  uint16_t vrings_named;               ///< The highest index of a vring that a message has named, plus 1.
  uint8_t status;                      ///< From SET_STATUS.
  bool connected;                      ///< Whether there is a front-end.
  char dma_problem[250];               ///< Why not all regions are for DMA, of the first that is not; "": all are.
  uint64_t releases_pending;           ///< Descriptors and mappings that front-ends left and whose close() or munmap()
                                       ///< has not returned yet.
} vhostx_port_info;

/// Sets all defaults. `size` is sizeof *options; what the library does not know of it becomes 0. Any thread.
void vhostx_port_options_init(vhostx_port_options* options, size_t size);

/// The virtio feature bits that a port with these options offers: vhostx_port_info::features_offered before there is a
/// port. Errors: VHOSTX_INVALID_ARGUMENT (an enumeration), VHOSTX_UNSUPPORTED, VHOSTX_OUT_OF_MEMORY. Any thread.
int vhostx_port_offered_features(const vhostx_port_options* options, uint64_t* features, vhostx_error* error);

/// Opens a socket and serves it at once. `options` is not needed after the call. `on_event` may be null; `user` is
/// handed to it. Events may come before the call has returned, and name the port that it returns. Null on errors:
/// VHOSTX_INVALID_ARGUMENT (an option out of range: which, its value, its range), VHOSTX_UNSUPPORTED (an option that
/// only a newer library knows), VHOSTX_BUSY (somebody listens on that path, or it is no socket), VHOSTX_SYSTEM (errno
/// of socket, bind or listen, with the path), VHOSTX_OUT_OF_MEMORY. In the client role the absence of a listener is no
/// error: it is tried again. Threads: any, but with VHOSTX_CONTROL_THREAD_APPLICATION only the thread that runs the
/// control side.
vhostx_port* vhostx_port_open(vhostx_backend* backend, const vhostx_port_options* options,
                              vhostx_event_handler on_event, void* user, vhostx_error* error);

/// Ends the connection, stops the vrings, waits for bursts in progress, removes the socket file and frees the port with
/// its vrings; the application must have stopped calling them. A burst that does not end, by misuse, is waited for 5 s:
/// then the log says which vring's it is, and the memory that it uses is kept. No event is delivered any more, also
/// none of those that this causes. Allowed from the port's own event handler, once vhostx_port_open() has returned.
/// Threads: as vhostx_port_open().
void vhostx_port_close(vhostx_port* port);

/// Options in force; socket_path is the port's, good for its life. `size`: sizeof *options. Any thread.
void vhostx_port_get_options(const vhostx_port* port, vhostx_port_options* options, size_t size);
/// The port's, good for its life. Any thread.
const char* vhostx_port_socket_path(const vhostx_port* port);

/// 2 * queue_pairs_max vrings exist from the start, whatever is negotiated. Any thread.
uint16_t vhostx_port_vring_count(const vhostx_port* port);
/// Null where there is no such vring. Good for the port's life. Any thread.
vhostx_vring* vhostx_port_vring(vhostx_port* port, uint16_t index);
/// The vring that carries packets to the guest in queue pair `pair`; null where there is no such pair. Any thread.
vhostx_vring* vhostx_port_to_guest(vhostx_port* port, uint16_t pair);
/// The vring that carries packets from the guest in queue pair `pair`; null where there is no such pair. Any thread.
vhostx_vring* vhostx_port_from_guest(vhostx_port* port, uint16_t pair);

/// `size`: sizeof *info. Error: VHOSTX_OUT_OF_MEMORY. Any thread; takes a lock: not for the data path.
int vhostx_port_get_info(const vhostx_port* port, vhostx_port_info* info, size_t size, vhostx_error* error);

/// Looks now at where the memory of the running vrings is, and moves the state that lies elsewhere; what changed is an
/// event (VHOSTX_EVENT_PLACEMENT_CHANGED). Waits for the control thread; not for the data path. Error:
/// VHOSTX_OUT_OF_MEMORY. Any thread.
int vhostx_port_look_at_placement(vhostx_port* port, vhostx_error* error);

/// Where the guest's memory lies, region by region; the caller's, to be freed with vhostx_memory_placement_free().
/// Asks the kernel for each region: not for the data path. Null: VHOSTX_OUT_OF_MEMORY. Any thread.
vhostx_memory_placement* vhostx_port_get_memory_placement(const vhostx_port* port, vhostx_error* error);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
