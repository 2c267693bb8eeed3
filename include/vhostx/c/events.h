// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// What happens to a port.
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

/// What happened. The member of vhostx_event::as that goes with it stands in brackets.
enum vhostx_event_kind {
  VHOSTX_EVENT_CONNECTED = 0,     ///< A front-end is connected; nothing is negotiated yet.
  VHOSTX_EVENT_DISCONNECTED = 1,  ///< The connection is over; every vring was stopped before. Not delivered for a
                                  ///< port that is being closed. [disconnected]
  VHOSTX_EVENT_FEATURES_NEGOTIATED = 2,  ///< SET_FEATURES. [features]
  VHOSTX_EVENT_MEMORY_CHANGED = 3,       ///< The guest memory changed as a whole. [memory]
  VHOSTX_EVENT_VRING_STARTED = 4,        ///< Its first kick came, or it does not need one (its driver polls; it was in
                                         ///< use before, or buffers wait in it). [vring]
  VHOSTX_EVENT_VRING_STOPPED = 5,    ///< No burst is running on it, and its kick descriptor is about to be closed. Also
                                     ///< when a ring that goes on running has another kick descriptor: then the event
                                     ///< that it started follows at once. [vring]
  VHOSTX_EVENT_VRING_ENABLED = 6,    ///< Enabled or disabled while the connection lives. [enabled]
  VHOSTX_EVENT_VRING_BROKEN = 7,     ///< The driver lied: the ring does nothing more until it is stopped and started
                                     ///< again. Or the ring itself does not lie in guest memory, or no longer: then the
                                     ///< cause is VHOSTX_FAULT_OUTSIDE_MEMORY with the front-end's address of the
                                     ///< descriptor table, and it stops at once if it had started. [broken]
  VHOSTX_EVENT_MTU_SET = 8,          ///< NET_SET_MTU. [mtu]
  VHOSTX_EVENT_RARP_REQUESTED = 9,   ///< SEND_RARP: the guest moved here. The library answers by itself with a RARP
                                     ///< frame in the next dequeue burst of vring 1. [rarp]
  VHOSTX_EVENT_STATUS_SET = 10,      ///< SET_STATUS: the VIRTIO device status field (VIRTIO 1.2, 2.1). [status]
  VHOSTX_EVENT_LOANS_RECALLED = 11,  ///< The library wants lent buffers of this vring back: free their mbufs, or commit
                                     ///< what was borrowed. The ring is about to stop, which waits for that,
                                     ///< vhostx_port_options::loan_timeout_ms at most; or the memory table that they
                                     ///< belong to was replaced, which waits for nothing. [loans]
  VHOSTX_EVENT_LOANS_OVERDUE = 12,  ///< The time is over, and the ring stops. Its driver has these buffers back and may
                                    ///< write into them, while the mbufs still show them; the pages stay mapped until
                                    ///< the last of those mbufs is freed. [loans]
  VHOSTX_EVENT_PLACEMENT_CHANGED = 13,  ///< The vring's memory or the library's state for it lies on other nodes than
                                        ///< when it was last looked at. [placement]
  VHOSTX_EVENT_VRING_READY = 14  ///< Whether the front-end has given all that the ring needs: size, addresses, memory,
                                 ///< features, and its kick descriptor. Ready, it starts with the first kick, which may
                                 ///< be long in coming. Not ready any more: it was stopped, or the connection ended,
                                 ///< whether it had started or not. [ready]
};

/// VHOSTX_EVENT_DISCONNECTED.
typedef struct vhostx_event_disconnected {
  int code;             ///< One of vhostx_code; VHOSTX_CLOSED when the front-end simply left.
  int system_errno;     ///< errno where code is VHOSTX_SYSTEM, else 0.
  const char* message;  ///< Why, for people.
} vhostx_event_disconnected;

/// VHOSTX_EVENT_MEMORY_CHANGED.
typedef struct vhostx_event_memory {
  uint32_t regions;  ///< How many there are now.
  uint64_t bytes;    ///< Of all of them.
} vhostx_event_memory;

/// VHOSTX_EVENT_VRING_STARTED, VHOSTX_EVENT_VRING_STOPPED.
typedef struct vhostx_event_vring {
  uint16_t index;  ///< Of the vring.
} vhostx_event_vring;

/// VHOSTX_EVENT_VRING_ENABLED.
typedef struct vhostx_event_enabled {
  uint16_t index;  ///< Of the vring.
  bool enabled;    ///< Whether it is now.
} vhostx_event_enabled;

/// VHOSTX_EVENT_VRING_READY.
typedef struct vhostx_event_ready {
  uint16_t index;  ///< Of the vring.
  bool ready;      ///< Whether it is now.
} vhostx_event_ready;

/// VHOSTX_EVENT_VRING_BROKEN.
typedef struct vhostx_event_broken {
  uint16_t index;            ///< Of the vring.
  vhostx_vring_fault fault;  ///< What the driver did.
} vhostx_event_broken;

/// VHOSTX_EVENT_LOANS_RECALLED, VHOSTX_EVENT_LOANS_OVERDUE.
typedef struct vhostx_event_loans {
  uint16_t index;        ///< Of the vring.
  uint32_t outstanding;  ///< Packets, or borrowed buffers.
} vhostx_event_loans;

/// VHOSTX_EVENT_PLACEMENT_CHANGED.
typedef struct vhostx_event_placement {
  uint16_t index;                       ///< Of the vring.
  int node;                             ///< Where the guest's memory is: `where->wanted_node`.
  const vhostx_vring_placement* where;  ///< All that is known; good during the call.
} vhostx_event_placement;

/// What happened, with its numbers. The library's, with all that it points to, and good during the call.
typedef struct vhostx_event {
  int kind;          ///< One of vhostx_event_kind, or of a later version's: pass over what you do not know.
  const char* name;  ///< As it stands in logs and JSON, e.g. "vring_started".
  const char* text;  ///< One line for people, e.g. "vring 3 broken: outside_memory (head 7, 0xdead0000, 0x40)".
  /// What goes with each kind.
  union {
    vhostx_event_disconnected disconnected;  ///< VHOSTX_EVENT_DISCONNECTED
    uint64_t features;                       ///< VHOSTX_EVENT_FEATURES_NEGOTIATED: bits in force from now on.
    vhostx_event_memory memory;              ///< VHOSTX_EVENT_MEMORY_CHANGED
    vhostx_event_vring vring;                ///< VHOSTX_EVENT_VRING_STARTED, VHOSTX_EVENT_VRING_STOPPED
    vhostx_event_enabled enabled;            ///< VHOSTX_EVENT_VRING_ENABLED
    vhostx_event_broken broken;              ///< VHOSTX_EVENT_VRING_BROKEN
    uint16_t mtu;                            ///< VHOSTX_EVENT_MTU_SET: 68 to 65535 bytes.
    uint8_t rarp[6];                         ///< VHOSTX_EVENT_RARP_REQUESTED: the guest's MAC address.
    uint8_t status;                          ///< VHOSTX_EVENT_STATUS_SET; 0: a reset.
    vhostx_event_loans loans;                ///< VHOSTX_EVENT_LOANS_RECALLED, VHOSTX_EVENT_LOANS_OVERDUE
    vhostx_event_placement placement;        ///< VHOSTX_EVENT_PLACEMENT_CHANGED
    vhostx_event_ready ready;                ///< VHOSTX_EVENT_VRING_READY
  } as;                                      ///< What goes with `kind`.
} vhostx_event;

/// Called on the control thread, one event at a time for each backend, in the order in which things happened, with no
/// library lock held. `user`: as given with the function. It may call anything of this interface but
/// vhostx_backend_destroy(), and may close the port. While it runs, no other port's messages are served: keep it short.
typedef void (*vhostx_event_handler)(vhostx_port* port, const vhostx_event* event, void* user);

#ifdef __cplusplus
}
#endif
