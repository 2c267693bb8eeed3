// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Events of a port.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <vhostx/c/error.h>
#include <vhostx/c/placement.h>
#include <vhostx/c/vring_fault.h>

#ifdef __cplusplus
extern "C" {
#endif

/// One vhost-user socket: see vhostx/c/port.h.
typedef struct vhostx_port vhostx_port;

/// Kind of an event. The member of vhostx_event::as that belongs to it is in brackets.
enum vhostx_event_kind {
  VHOSTX_EVENT_CONNECTED = 0,     ///< A front-end is connected; nothing is negotiated yet. [adopted]
  VHOSTX_EVENT_DISCONNECTED = 1,  ///< The connection ended; every vring was stopped before. Not delivered when the port
                                  ///< is closed by vhostx_port_close(). [disconnected]
  VHOSTX_EVENT_FEATURES_NEGOTIATED = 2,  ///< SET_FEATURES: other feature bits are in force. [features]
  VHOSTX_EVENT_MEMORY_CHANGED = 3,       ///< The table of guest memory was replaced, or a region was added or removed.
                                         ///< [memory]
  VHOSTX_EVENT_VRING_STARTED = 4,        ///< The ring started: its first kick came, or it needs none (its driver polls,
                                         ///< the ring was in use before, or buffers wait in it). [vring]
  VHOSTX_EVENT_VRING_STOPPED = 5,  ///< The ring stopped: no burst is running on it, and its kick descriptor is closed
                                   ///< after this event. Also delivered when a running ring gets another kick
                                   ///< descriptor: then VHOSTX_EVENT_VRING_STARTED follows at once. [vring]
  VHOSTX_EVENT_VRING_ENABLED = 6,  ///< The front-end enabled or disabled the ring. The end of a connection disables all
                                   ///< rings without this event. [enabled]
  VHOSTX_EVENT_VRING_BROKEN = 7,   ///< The driver broke the specification: the ring does nothing more until it is
                                   ///< stopped and started again. Or the ring itself is not, or no longer, in guest
                                   ///< memory: then the cause is VHOSTX_FAULT_OUTSIDE_MEMORY with the front-end's
                                   ///< address of the descriptor table, and VHOSTX_EVENT_VRING_STOPPED follows if the
                                   ///< ring had started. [broken]
  VHOSTX_EVENT_MTU_SET = 8,        ///< NET_SET_MTU: the guest's MTU. [mtu]
  VHOSTX_EVENT_RARP_REQUESTED = 9,  ///< SEND_RARP: the guest moved to this host. The library itself delivers a RARP
                                    ///< frame, in the next dequeue burst or transfer of vring 1 while that is enabled.
                                    ///< [rarp]
  VHOSTX_EVENT_STATUS_SET = 10,     ///< SET_STATUS: the VIRTIO device status field (VIRTIO 1.2, 2.1), as GET_STATUS
                                    ///< returns it from now on. [status]
  /// The library needs lent buffers of this vring back: free their mbufs. There are two causes. The ring is stopping:
  /// the stop waits for the loans, vhostx_port_options::loan_timeout_ms at most, and borrowed buffers can no longer be
  /// committed. Or the memory table of the loans was replaced: nothing waits, the library keeps the old pages for them,
  /// and borrowed buffers can still be committed. While several old tables are kept, packets are copied. [loans]
  VHOSTX_EVENT_LOANS_RECALLED = 11,
  VHOSTX_EVENT_LOANS_OVERDUE = 12,  ///< vhostx_port_options::loan_timeout_ms has passed, and the ring stops. Its driver
                                    ///< has these buffers back and may write into them while mbufs still refer to them.
                                    ///< The pages stay mapped until the last of those mbufs is freed. [loans]
  VHOSTX_EVENT_PLACEMENT_CHANGED = 13,  ///< The vring's memory or the library's state for it is on other nodes than at
                                        ///< the last look. Only on machines with several nodes. [placement]
  VHOSTX_EVENT_VRING_READY = 14,  ///< The ring has become ready, or is not ready any more. It is ready once everything
                                  ///< needed to start is present: size, addresses, memory, features and the kick
                                  ///< descriptor. It then starts with the first kick, which may come late or never. It
                                  ///< is not ready any more when it was stopped or the connection ended, whether it had
                                  ///< started or not. [ready]
  VHOSTX_EVENT_CONNECT_FAILED = 15,    ///< Client role: connecting to the socket failed. The library tries again.
                                       ///< Delivered for the first failure after a connection or after the port was
                                       ///< opened, and then only when errno changes. [connect_failed]
  VHOSTX_EVENT_OWNERSHIP_CHANGED = 16  ///< Another process (vhostx_backend_options::keeper) serves the port, or no
                                       ///< longer does. When this process has served it, its vrings are stopped
                                       ///< before, and VHOSTX_EVENT_DISCONNECTED came if there was a connection.
                                       ///< [ownership]
};

/// Who serves a port that a keeper holds.
enum vhostx_ownership {
  VHOSTX_OWNERSHIP_SERVING = 0,      ///< This process does. If there was a connection, VHOSTX_EVENT_CONNECTED and the
                                     ///< events of its vrings came before.
  VHOSTX_OWNERSHIP_YIELDING = 1,     ///< This process does, and another one has asked for it: after this event its
                                     ///< vrings stop. A program that forwards between ports may stop taking packets for
                                     ///< it now, so that they stay in their rings.
  VHOSTX_OWNERSHIP_STANDING_BY = 2,  ///< Another process does. This one goes on when that has ended: SERVING follows.
  VHOSTX_OWNERSHIP_HANDED_OVER = 3   ///< Another process has taken the port over for good. Close this one.
};

/// VHOSTX_EVENT_OWNERSHIP_CHANGED.
typedef struct vhostx_event_ownership {
  int ownership;  ///< One of vhostx_ownership: from now on.
  int other_pid;  ///< Who serves it instead; 0: this process does, or it is not known here.
} vhostx_event_ownership;

/// VHOSTX_EVENT_DISCONNECTED.
typedef struct vhostx_event_disconnected {
  int code;             ///< One of vhostx_code; VHOSTX_CLOSED when the front-end or vhostx_port_disconnect() closed the
                        ///< connection.
  int system_errno;     ///< errno if `code` is VHOSTX_SYSTEM, else 0.
  const char* message;  ///< Why the connection ended, for people. Valid during the call.
} vhostx_event_disconnected;

/// VHOSTX_EVENT_CONNECT_FAILED.
typedef struct vhostx_event_connect_failed {
  int code;             ///< One of vhostx_code.
  int system_errno;     ///< errno if `code` is VHOSTX_SYSTEM, else 0.
  const char* message;  ///< The call, the path and errno, for people. Valid during the call.
} vhostx_event_connect_failed;

/// VHOSTX_EVENT_MEMORY_CHANGED.
typedef struct vhostx_event_memory {
  uint32_t regions;  ///< Regions of guest memory now.
  uint64_t bytes;    ///< Bytes of all regions together.
} vhostx_event_memory;

/// VHOSTX_EVENT_VRING_STARTED, VHOSTX_EVENT_VRING_STOPPED.
typedef struct vhostx_event_vring {
  uint16_t index;  ///< Index of the vring.
} vhostx_event_vring;

/// VHOSTX_EVENT_VRING_ENABLED.
typedef struct vhostx_event_enabled {
  uint16_t index;  ///< Index of the vring.
  bool enabled;    ///< Whether it is enabled now.
} vhostx_event_enabled;

/// VHOSTX_EVENT_VRING_READY.
typedef struct vhostx_event_ready {
  uint16_t index;  ///< Index of the vring.
  bool ready;      ///< Whether it is ready now.
} vhostx_event_ready;

/// VHOSTX_EVENT_VRING_BROKEN.
typedef struct vhostx_event_broken {
  uint16_t index;            ///< Index of the vring.
  vhostx_vring_fault fault;  ///< What the driver did.
} vhostx_event_broken;

/// VHOSTX_EVENT_LOANS_RECALLED, VHOSTX_EVENT_LOANS_OVERDUE.
typedef struct vhostx_event_loans {
  uint16_t index;        ///< Index of the vring.
  uint32_t outstanding;  ///< Lent packets or borrowed buffers that are out.
} vhostx_event_loans;

/// VHOSTX_EVENT_PLACEMENT_CHANGED.
typedef struct vhostx_event_placement {
  uint16_t index;                       ///< Index of the vring.
  int node;                             ///< Node of the guest's memory: `where->wanted_node`.
  const vhostx_vring_placement* where;  ///< All that is known of the placement; valid during the call.
} vhostx_event_placement;

/// An event. The library owns it and everything that it points to; valid during the call.
typedef struct vhostx_event {
  int kind;          ///< One of vhostx_event_kind. A later library may have others: ignore those that you do not know.
  const char* name;  ///< Name of the event in logs and JSON, e.g. "vring_started".
  const char* text;  ///< The event in one line, e.g. "vring 3 broken: outside_memory (head 7, 0xdead0000, 0x40)".
  /// The data of each kind.
  union {
    bool adopted;  ///< VHOSTX_EVENT_CONNECTED: the connection was another process's (vhostx_backend_options::keeper).
    vhostx_event_disconnected disconnected;  ///< VHOSTX_EVENT_DISCONNECTED
    uint64_t features;                 ///< VHOSTX_EVENT_FEATURES_NEGOTIATED: the bits that are in force from now on.
    vhostx_event_memory memory;        ///< VHOSTX_EVENT_MEMORY_CHANGED
    vhostx_event_vring vring;          ///< VHOSTX_EVENT_VRING_STARTED, VHOSTX_EVENT_VRING_STOPPED
    vhostx_event_enabled enabled;      ///< VHOSTX_EVENT_VRING_ENABLED
    vhostx_event_broken broken;        ///< VHOSTX_EVENT_VRING_BROKEN
    uint16_t mtu;                      ///< VHOSTX_EVENT_MTU_SET: 68 to 65535 bytes.
    uint8_t rarp[6];                   ///< VHOSTX_EVENT_RARP_REQUESTED: the guest's MAC address.
    uint8_t status;                    ///< VHOSTX_EVENT_STATUS_SET: bits of the field; 0: a reset.
    vhostx_event_loans loans;          ///< VHOSTX_EVENT_LOANS_RECALLED, VHOSTX_EVENT_LOANS_OVERDUE
    vhostx_event_placement placement;  ///< VHOSTX_EVENT_PLACEMENT_CHANGED
    vhostx_event_ready ready;          ///< VHOSTX_EVENT_VRING_READY
    vhostx_event_connect_failed connect_failed;  ///< VHOSTX_EVENT_CONNECT_FAILED
    vhostx_event_ownership ownership;            ///< VHOSTX_EVENT_OWNERSHIP_CHANGED
  } as;                                          ///< The data that belongs to `kind`.
} vhostx_event;

/// Called on the control thread, one event at a time for each backend, in the order in which things happened, with no
/// library lock held. `user`: as passed to vhostx_port_open(). The handler may call any function except
/// vhostx_backend_destroy(), and may close the port once vhostx_port_open() has returned. Keep it short: no port of the
/// backend is served while it runs.
typedef void (*vhostx_event_handler)(vhostx_port* port, const vhostx_event* event, void* user);

#ifdef __cplusplus
}
#endif
