// SPDX-License-Identifier: BSD-3-Clause
// Feature bits by name: VIRTIO's for a network device, and those of the vhost-user protocol. docs/features.md says
// which of them a port offers, and why.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include <vhostx/cxx20.hpp>
#include <vhostx/export.hpp>

namespace vhostx {

/// Virtio feature bits that a network device or the transport defines (VIRTIO 1.2, 5.1.3 and 6), by their numbers.
enum class VirtioFeature : unsigned {
  net_csum = 0,        ///< VIRTIO_NET_F_CSUM: device takes packets with a partial checksum.
  net_guest_csum = 1,  ///< VIRTIO_NET_F_GUEST_CSUM: driver takes packets with a partial checksum.
  net_ctrl_guest_offloads =
      2,                    ///< VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: offloads of the receive side change while running.
  net_mtu = 3,              ///< VIRTIO_NET_F_MTU: device tells the driver the largest MTU.
  net_mac = 5,              ///< VIRTIO_NET_F_MAC: device has a MAC address.
  net_gso = 6,              ///< VIRTIO_NET_F_GSO: device takes packets with any segmentation (legacy).
  net_guest_tso4 = 7,       ///< VIRTIO_NET_F_GUEST_TSO4: driver takes TSO over IPv4.
  net_guest_tso6 = 8,       ///< VIRTIO_NET_F_GUEST_TSO6: driver takes TSO over IPv6.
  net_guest_ecn = 9,        ///< VIRTIO_NET_F_GUEST_ECN: driver takes TSO with ECN.
  net_guest_ufo = 10,       ///< VIRTIO_NET_F_GUEST_UFO: driver takes UDP fragmentation offload.
  net_host_tso4 = 11,       ///< VIRTIO_NET_F_HOST_TSO4: device takes TSO over IPv4.
  net_host_tso6 = 12,       ///< VIRTIO_NET_F_HOST_TSO6: device takes TSO over IPv6.
  net_host_ecn = 13,        ///< VIRTIO_NET_F_HOST_ECN: device takes TSO with ECN.
  net_host_ufo = 14,        ///< VIRTIO_NET_F_HOST_UFO: device takes UDP fragmentation offload.
  net_mrg_rxbuf = 15,       ///< VIRTIO_NET_F_MRG_RXBUF: a packet may fill several receive buffers.
  net_status = 16,          ///< VIRTIO_NET_F_STATUS: device tells the link's state.
  net_ctrl_vq = 17,         ///< VIRTIO_NET_F_CTRL_VQ: there is a control virtqueue.
  net_ctrl_rx = 18,         ///< VIRTIO_NET_F_CTRL_RX: receive modes over the control virtqueue.
  net_ctrl_vlan = 19,       ///< VIRTIO_NET_F_CTRL_VLAN: VLAN filters over the control virtqueue.
  net_ctrl_rx_extra = 20,   ///< VIRTIO_NET_F_CTRL_RX_EXTRA: more receive modes over the control virtqueue.
  net_guest_announce = 21,  ///< VIRTIO_NET_F_GUEST_ANNOUNCE: driver can announce itself after migration.
  net_mq = 22,              ///< VIRTIO_NET_F_MQ: several queue pairs.
  net_ctrl_mac_addr = 23,   ///< VIRTIO_NET_F_CTRL_MAC_ADDR: MAC address set over the control virtqueue.
  notify_on_empty = 24,     ///< VIRTIO_F_NOTIFY_ON_EMPTY: call when the avail ring runs empty (legacy).
  vhost_log_all = 26,       ///< VHOST_F_LOG_ALL: log every write to guest memory.
  any_layout = 27,          ///< VIRTIO_F_ANY_LAYOUT: no rule for how descriptors split a buffer (legacy).
  indirect_desc = 28,       ///< VIRTIO_F_INDIRECT_DESC: descriptors may point to tables of descriptors.
  event_idx = 29,           ///< VIRTIO_F_EVENT_IDX: notifications asked for by ring index.
  vhost_user_protocol_features =
      30,                  ///< VHOST_USER_F_PROTOCOL_FEATURES: vhost-user protocol features can be negotiated.
  version_1 = 32,          ///< VIRTIO_F_VERSION_1: VIRTIO 1.0 or later, not legacy.
  iommu_platform = 33,     ///< VIRTIO_F_ACCESS_PLATFORM: device addresses go through an IOMMU.
  ring_packed = 34,        ///< VIRTIO_F_RING_PACKED: packed virtqueues.
  in_order = 35,           ///< VIRTIO_F_IN_ORDER: buffers are used in the order they were made available.
  order_platform = 36,     ///< VIRTIO_F_ORDER_PLATFORM: memory is ordered as for hardware.
  sr_iov = 37,             ///< VIRTIO_F_SR_IOV: single-root I/O virtualisation.
  notification_data = 38,  ///< VIRTIO_F_NOTIFICATION_DATA: kicks carry data.
  notif_config_data = 39,  ///< VIRTIO_F_NOTIF_CONFIG_DATA: kicks carry data that the device chose.
  ring_reset = 40,         ///< VIRTIO_F_RING_RESET: one virtqueue can be reset alone.
  net_guest_uso4 = 54,     ///< VIRTIO_NET_F_GUEST_USO4: driver takes UDP segmentation over IPv4.
  net_guest_uso6 = 55,     ///< VIRTIO_NET_F_GUEST_USO6: driver takes UDP segmentation over IPv6.
  net_host_uso = 56,       ///< VIRTIO_NET_F_HOST_USO: device takes UDP segmentation.
  net_hash_report = 57,    ///< VIRTIO_NET_F_HASH_REPORT: device reports a hash with each packet.
  net_guest_hdrlen = 59,   ///< VIRTIO_NET_F_GUEST_HDRLEN: driver gives the exact length of headers.
  net_rss = 60,            ///< VIRTIO_NET_F_RSS: receive-side scaling.
  net_rsc_ext = 61,        ///< VIRTIO_NET_F_RSC_EXT: device reports what it coalesced.
  net_standby = 62,        ///< VIRTIO_NET_F_STANDBY: stands by for another device with the same MAC address.
  net_speed_duplex = 63,   ///< VIRTIO_NET_F_SPEED_DUPLEX: device tells speed and duplex.
};

/// vhost-user protocol feature bits, by their numbers.
enum class ProtocolFeature : unsigned {
  mq = 0,                          ///< Several queues; GET_QUEUE_NUM.
  log_shmfd = 1,                   ///< Dirty log in memory that the front-end shares.
  rarp = 2,                        ///< Back-end sends the guest's RARP; SEND_RARP.
  reply_ack = 3,                   ///< Any request can ask for an acknowledgement.
  mtu = 4,                         ///< NET_SET_MTU.
  backend_req = 5,                 ///< Back-end sends requests; SET_BACKEND_REQ_FD.
  cross_endian = 6,                ///< SET_VRING_ENDIAN, for legacy guests.
  crypto_session = 7,              ///< Sessions of crypto devices.
  pagefault = 8,                   ///< Post-copy migration over userfaultfd.
  config = 9,                      ///< Back-end serves the config space.
  backend_send_fd = 10,            ///< Back-end requests can bring descriptors.
  host_notifier = 11,              ///< Doorbells mapped into the guest.
  inflight_shmfd = 12,             ///< Descriptors in flight tracked in shared memory.
  reset_device = 13,               ///< RESET_DEVICE.
  inband_notifications = 14,       ///< Kicks and calls as messages.
  configure_mem_slots = 15,        ///< Memory regions added and removed one by one.
  status = 16,                     ///< SET_STATUS and GET_STATUS.
  xen_mmap = 17,                   ///< Memory regions of Xen guests.
  shared_object = 18,              ///< Dma-buf objects shared between back-ends.
  device_state = 19,               ///< Back-end's state migrates through a channel.
  get_vring_base_inflight = 20,    ///< GET_VRING_BASE does not wait for what is in flight.
  gpa_addresses = 21,              ///< Rings and regions are named by guest addresses alone.
  shmem = 22,                      ///< VIRTIO shared memory regions.
  get_vring_base_skip_drain = 23,  ///< GET_VRING_BASE_SKIP_DRAIN.
};

/// A kind of feature bits.
template <typename T>
concept FeatureBit = std::same_as<T, VirtioFeature> || std::same_as<T, ProtocolFeature>;

/// A set of features as PortOptions and PortInfo have it, bit by bit:
///
///     options.features_masked = feature_bits(VirtioFeature::net_mrg_rxbuf, VirtioFeature::indirect_desc);
template <FeatureBit Bit, std::same_as<Bit>... Bits>
constexpr std::uint64_t feature_bits(Bit first, Bits... more) noexcept {
  std::uint64_t bits = std::uint64_t{1} << static_cast<unsigned>(first);
  ((bits |= std::uint64_t{1} << static_cast<unsigned>(more)), ...);
  return bits;
}

/// Whether `feature` is in the set `bits`: `has_feature(port->info().features, VirtioFeature::net_mrg_rxbuf)`.
template <FeatureBit Bit>
constexpr bool has_feature(std::uint64_t bits, Bit feature) noexcept {
  return (bits & feature_bits(feature)) != 0;
}

/// Names of virtio feature bits with blanks between them, in ascending order, e.g. "VIRTIO_NET_F_MRG_RXBUF
/// VIRTIO_F_VERSION_1"; "bit 42" for a bit without a name, "none" for no bits. May throw std::bad_alloc. Any thread.
VHOSTX_EXPORT std::string describe_features(std::uint64_t bits);
/// The same for vhost-user protocol feature bits, e.g. "MQ REPLY_ACK".
VHOSTX_EXPORT std::string describe_protocol_features(std::uint64_t bits);

}  // namespace vhostx
