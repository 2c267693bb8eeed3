// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Feature bits by name: VIRTIO's for a network device, and those of the vhost-user protocol. Each macro is a set with
/// that bit: join them by `|`. docs/features.md says which of them a port offers, and why.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

#define VHOSTX_VIRTIO_NET_F_CSUM (UINT64_C(1) << 0)        ///< Device takes packets with a partial checksum.
#define VHOSTX_VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)  ///< Driver takes packets with a partial checksum.
#define VHOSTX_VIRTIO_NET_F_CTRL_GUEST_OFFLOADS \
  (UINT64_C(1) << 2)                                           ///< Offloads of the receive side change while running.
#define VHOSTX_VIRTIO_NET_F_MTU (UINT64_C(1) << 3)             ///< Device tells the driver the largest MTU.
#define VHOSTX_VIRTIO_NET_F_MAC (UINT64_C(1) << 5)             ///< Device has a MAC address.
#define VHOSTX_VIRTIO_NET_F_GSO (UINT64_C(1) << 6)             ///< Device takes packets with any segmentation (legacy).
#define VHOSTX_VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)      ///< Driver takes TSO over IPv4.
#define VHOSTX_VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)      ///< Driver takes TSO over IPv6.
#define VHOSTX_VIRTIO_NET_F_GUEST_ECN (UINT64_C(1) << 9)       ///< Driver takes TSO with ECN.
#define VHOSTX_VIRTIO_NET_F_GUEST_UFO (UINT64_C(1) << 10)      ///< Driver takes UDP fragmentation offload.
#define VHOSTX_VIRTIO_NET_F_HOST_TSO4 (UINT64_C(1) << 11)      ///< Device takes TSO over IPv4.
#define VHOSTX_VIRTIO_NET_F_HOST_TSO6 (UINT64_C(1) << 12)      ///< Device takes TSO over IPv6.
#define VHOSTX_VIRTIO_NET_F_HOST_ECN (UINT64_C(1) << 13)       ///< Device takes TSO with ECN.
#define VHOSTX_VIRTIO_NET_F_HOST_UFO (UINT64_C(1) << 14)       ///< Device takes UDP fragmentation offload.
#define VHOSTX_VIRTIO_NET_F_MRG_RXBUF (UINT64_C(1) << 15)      ///< A packet may fill several receive buffers.
#define VHOSTX_VIRTIO_NET_F_STATUS (UINT64_C(1) << 16)         ///< Device tells the link's state.
#define VHOSTX_VIRTIO_NET_F_CTRL_VQ (UINT64_C(1) << 17)        ///< There is a control virtqueue.
#define VHOSTX_VIRTIO_NET_F_CTRL_RX (UINT64_C(1) << 18)        ///< Receive modes over the control virtqueue.
#define VHOSTX_VIRTIO_NET_F_CTRL_VLAN (UINT64_C(1) << 19)      ///< VLAN filters over the control virtqueue.
#define VHOSTX_VIRTIO_NET_F_CTRL_RX_EXTRA (UINT64_C(1) << 20)  ///< More receive modes over the control virtqueue.
#define VHOSTX_VIRTIO_NET_F_GUEST_ANNOUNCE (UINT64_C(1) << 21)  ///< Driver can announce itself after migration.
#define VHOSTX_VIRTIO_NET_F_MQ (UINT64_C(1) << 22)              ///< Several queue pairs.
#define VHOSTX_VIRTIO_NET_F_CTRL_MAC_ADDR (UINT64_C(1) << 23)   ///< MAC address set over the control virtqueue.
#define VHOSTX_VIRTIO_F_NOTIFY_ON_EMPTY (UINT64_C(1) << 24)     ///< Call when the avail ring runs empty (legacy).
#define VHOSTX_VHOST_F_LOG_ALL (UINT64_C(1) << 26)              ///< Log every write to guest memory.
#define VHOSTX_VIRTIO_F_ANY_LAYOUT (UINT64_C(1) << 27)     ///< No rule for how descriptors split a buffer (legacy).
#define VHOSTX_VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)  ///< Descriptors may point to tables of descriptors.
#define VHOSTX_VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)      ///< Notifications asked for by ring index.
#define VHOSTX_VHOST_USER_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)  ///< Vhost-user protocol features can be negotiated.
#define VHOSTX_VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)              ///< VIRTIO 1.0 or later, not legacy.
#define VHOSTX_VIRTIO_F_ACCESS_PLATFORM (UINT64_C(1) << 33)        ///< Device addresses go through an IOMMU.
#define VHOSTX_VIRTIO_F_RING_PACKED (UINT64_C(1) << 34)            ///< Packed virtqueues.
#define VHOSTX_VIRTIO_F_IN_ORDER (UINT64_C(1) << 35)        ///< Buffers are used in the order they were made available.
#define VHOSTX_VIRTIO_F_ORDER_PLATFORM (UINT64_C(1) << 36)  ///< Memory is ordered as for hardware.
#define VHOSTX_VIRTIO_F_SR_IOV (UINT64_C(1) << 37)          ///< Single-root I/O virtualisation.
#define VHOSTX_VIRTIO_F_NOTIFICATION_DATA (UINT64_C(1) << 38)  ///< Kicks carry data.
#define VHOSTX_VIRTIO_F_NOTIF_CONFIG_DATA (UINT64_C(1) << 39)  ///< Kicks carry data that the device chose.
#define VHOSTX_VIRTIO_F_RING_RESET (UINT64_C(1) << 40)         ///< One virtqueue can be reset alone.
#define VHOSTX_VIRTIO_NET_F_GUEST_USO4 (UINT64_C(1) << 54)     ///< Driver takes UDP segmentation over IPv4.
#define VHOSTX_VIRTIO_NET_F_GUEST_USO6 (UINT64_C(1) << 55)     ///< Driver takes UDP segmentation over IPv6.
#define VHOSTX_VIRTIO_NET_F_HOST_USO (UINT64_C(1) << 56)       ///< Device takes UDP segmentation.
#define VHOSTX_VIRTIO_NET_F_HASH_REPORT (UINT64_C(1) << 57)    ///< Device reports a hash with each packet.
#define VHOSTX_VIRTIO_NET_F_GUEST_HDRLEN (UINT64_C(1) << 59)   ///< Driver gives the exact length of headers.
#define VHOSTX_VIRTIO_NET_F_RSS (UINT64_C(1) << 60)            ///< Receive-side scaling.
#define VHOSTX_VIRTIO_NET_F_RSC_EXT (UINT64_C(1) << 61)        ///< Device reports what it coalesced.
#define VHOSTX_VIRTIO_NET_F_STANDBY (UINT64_C(1) << 62)  ///< Stands by for another device with the same MAC address.
#define VHOSTX_VIRTIO_NET_F_SPEED_DUPLEX (UINT64_C(1) << 63)  ///< Device tells speed and duplex.

#define VHOSTX_PROTOCOL_F_MQ (UINT64_C(1) << 0)                     ///< Several queues; GET_QUEUE_NUM.
#define VHOSTX_PROTOCOL_F_LOG_SHMFD (UINT64_C(1) << 1)              ///< Dirty log in memory that the front-end shares.
#define VHOSTX_PROTOCOL_F_RARP (UINT64_C(1) << 2)                   ///< Back-end sends the guest's RARP; SEND_RARP.
#define VHOSTX_PROTOCOL_F_REPLY_ACK (UINT64_C(1) << 3)              ///< Any request can ask for an acknowledgement.
#define VHOSTX_PROTOCOL_F_MTU (UINT64_C(1) << 4)                    ///< NET_SET_MTU.
#define VHOSTX_PROTOCOL_F_BACKEND_REQ (UINT64_C(1) << 5)            ///< Back-end sends requests; SET_BACKEND_REQ_FD.
#define VHOSTX_PROTOCOL_F_CROSS_ENDIAN (UINT64_C(1) << 6)           ///< SET_VRING_ENDIAN, for legacy guests.
#define VHOSTX_PROTOCOL_F_CRYPTO_SESSION (UINT64_C(1) << 7)         ///< Sessions of crypto devices.
#define VHOSTX_PROTOCOL_F_PAGEFAULT (UINT64_C(1) << 8)              ///< Post-copy migration over userfaultfd.
#define VHOSTX_PROTOCOL_F_CONFIG (UINT64_C(1) << 9)                 ///< Back-end serves the config space.
#define VHOSTX_PROTOCOL_F_BACKEND_SEND_FD (UINT64_C(1) << 10)       ///< Back-end requests can bring descriptors.
#define VHOSTX_PROTOCOL_F_HOST_NOTIFIER (UINT64_C(1) << 11)         ///< Doorbells mapped into the guest.
#define VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD (UINT64_C(1) << 12)        ///< Descriptors in flight tracked in shared memory.
#define VHOSTX_PROTOCOL_F_RESET_DEVICE (UINT64_C(1) << 13)          ///< RESET_DEVICE.
#define VHOSTX_PROTOCOL_F_INBAND_NOTIFICATIONS (UINT64_C(1) << 14)  ///< Kicks and calls as messages.
#define VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS (UINT64_C(1) << 15)   ///< Memory regions added and removed one by one.
#define VHOSTX_PROTOCOL_F_STATUS (UINT64_C(1) << 16)                ///< SET_STATUS and GET_STATUS.
#define VHOSTX_PROTOCOL_F_XEN_MMAP (UINT64_C(1) << 17)              ///< Memory regions of Xen guests.
#define VHOSTX_PROTOCOL_F_SHARED_OBJECT (UINT64_C(1) << 18)         ///< Dma-buf objects shared between back-ends.
#define VHOSTX_PROTOCOL_F_DEVICE_STATE (UINT64_C(1) << 19)          ///< Back-end's state migrates through a channel.
#define VHOSTX_PROTOCOL_F_GET_VRING_BASE_INFLIGHT \
  (UINT64_C(1) << 20)                                        ///< GET_VRING_BASE does not wait for what is in flight.
#define VHOSTX_PROTOCOL_F_GPA_ADDRESSES (UINT64_C(1) << 21)  ///< Rings and regions are named by guest addresses alone.
#define VHOSTX_PROTOCOL_F_SHMEM (UINT64_C(1) << 22)          ///< VIRTIO shared memory regions.
#define VHOSTX_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN (UINT64_C(1) << 23)  ///< GET_VRING_BASE_SKIP_DRAIN.

/// Writes the names of virtio feature bits to `text`, with blanks between them, in ascending order, e.g.
/// "VIRTIO_NET_F_MRG_RXBUF VIRTIO_F_VERSION_1"; "bit 42" for a bit without a name, "none" for no bits. `size`: bytes of
/// `text`, with the terminating zero; a longer text is cut. Returns the length of the whole text, as snprintf() does; 0
/// if there was no memory for it. 2048 bytes are enough for all names. Any thread.
size_t vhostx_describe_features(uint64_t bits, char* text, size_t size);
/// The same for vhost-user protocol feature bits, e.g. "MQ REPLY_ACK".
size_t vhostx_describe_protocol_features(uint64_t bits, char* text, size_t size);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
