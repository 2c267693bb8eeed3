// SPDX-License-Identifier: BSD-3-Clause
// The names of feature bits, as a table: some protocol bits were renumbered before they were released.
#include "protocol/features.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace vhostx::protocol {
namespace {

constexpr std::array virtio_names{
    FeatureName{0, "VIRTIO_NET_F_CSUM", "device takes packets with a partial checksum"},
    FeatureName{1, "VIRTIO_NET_F_GUEST_CSUM", "driver takes packets with a partial checksum"},
    FeatureName{2, "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS", "offloads of the receive side change while running"},
    FeatureName{3, "VIRTIO_NET_F_MTU", "device reports the largest MTU"},
    FeatureName{5, "VIRTIO_NET_F_MAC", "device has a MAC address"},
    FeatureName{6, "VIRTIO_NET_F_GSO", "device takes packets with any segmentation (legacy)"},
    FeatureName{7, "VIRTIO_NET_F_GUEST_TSO4", "driver takes TSO over IPv4"},
    FeatureName{8, "VIRTIO_NET_F_GUEST_TSO6", "driver takes TSO over IPv6"},
    FeatureName{9, "VIRTIO_NET_F_GUEST_ECN", "driver takes TSO with ECN"},
    FeatureName{10, "VIRTIO_NET_F_GUEST_UFO", "driver takes UDP fragmentation offload"},
    FeatureName{11, "VIRTIO_NET_F_HOST_TSO4", "device takes TSO over IPv4"},
    FeatureName{12, "VIRTIO_NET_F_HOST_TSO6", "device takes TSO over IPv6"},
    FeatureName{13, "VIRTIO_NET_F_HOST_ECN", "device takes TSO with ECN"},
    FeatureName{14, "VIRTIO_NET_F_HOST_UFO", "device takes UDP fragmentation offload"},
    FeatureName{15, "VIRTIO_NET_F_MRG_RXBUF", "a packet may fill several receive buffers"},
    FeatureName{16, "VIRTIO_NET_F_STATUS", "device reports the link state"},
    FeatureName{17, "VIRTIO_NET_F_CTRL_VQ", "there is a control virtqueue"},
    FeatureName{18, "VIRTIO_NET_F_CTRL_RX", "receive modes over the control virtqueue"},
    FeatureName{19, "VIRTIO_NET_F_CTRL_VLAN", "VLAN filters over the control virtqueue"},
    FeatureName{20, "VIRTIO_NET_F_CTRL_RX_EXTRA", "more receive modes over the control virtqueue"},
    FeatureName{21, "VIRTIO_NET_F_GUEST_ANNOUNCE", "driver can announce itself after migration"},
    FeatureName{22, "VIRTIO_NET_F_MQ", "several queue pairs"},
    FeatureName{23, "VIRTIO_NET_F_CTRL_MAC_ADDR", "MAC address set over the control virtqueue"},
    FeatureName{24, "VIRTIO_F_NOTIFY_ON_EMPTY", "call when the avail ring runs empty (legacy)"},
    FeatureName{26, "VHOST_F_LOG_ALL", "log every write to guest memory"},
    FeatureName{27, "VIRTIO_F_ANY_LAYOUT", "no rule for how descriptors split a buffer (legacy)"},
    FeatureName{28, "VIRTIO_F_INDIRECT_DESC", "descriptors may point to tables of descriptors"},
    FeatureName{29, "VIRTIO_F_EVENT_IDX", "notifications asked for by ring index"},
    FeatureName{30, "VHOST_USER_F_PROTOCOL_FEATURES", "vhost-user protocol features can be negotiated"},
    FeatureName{32, "VIRTIO_F_VERSION_1", "VIRTIO 1.0 or later, not legacy"},
    FeatureName{33, "VIRTIO_F_ACCESS_PLATFORM", "device addresses go through an IOMMU"},
    FeatureName{34, "VIRTIO_F_RING_PACKED", "packed virtqueues"},
    FeatureName{35, "VIRTIO_F_IN_ORDER", "buffers are used in the order they were made available"},
    FeatureName{36, "VIRTIO_F_ORDER_PLATFORM", "memory is ordered as for hardware"},
    FeatureName{37, "VIRTIO_F_SR_IOV", "single-root I/O virtualisation"},
    FeatureName{38, "VIRTIO_F_NOTIFICATION_DATA", "kicks carry data"},
    FeatureName{39, "VIRTIO_F_NOTIF_CONFIG_DATA", "kicks carry data that the device chose"},
    FeatureName{40, "VIRTIO_F_RING_RESET", "one virtqueue can be reset alone"},
    FeatureName{54, "VIRTIO_NET_F_GUEST_USO4", "driver takes UDP segmentation over IPv4"},
    FeatureName{55, "VIRTIO_NET_F_GUEST_USO6", "driver takes UDP segmentation over IPv6"},
    FeatureName{56, "VIRTIO_NET_F_HOST_USO", "device takes UDP segmentation"},
    FeatureName{57, "VIRTIO_NET_F_HASH_REPORT", "device reports a hash with each packet"},
    FeatureName{59, "VIRTIO_NET_F_GUEST_HDRLEN", "driver gives the exact length of headers"},
    FeatureName{60, "VIRTIO_NET_F_RSS", "receive-side scaling"},
    FeatureName{61, "VIRTIO_NET_F_RSC_EXT", "device reports what it coalesced"},
    FeatureName{62, "VIRTIO_NET_F_STANDBY", "stands by for another device with the same MAC address"},
    FeatureName{63, "VIRTIO_NET_F_SPEED_DUPLEX", "device reports speed and duplex"},
};

constexpr std::array protocol_names{
    FeatureName{0, "MQ", "several queues; GET_QUEUE_NUM"},
    FeatureName{1, "LOG_SHMFD", "dirty log in memory that the front-end shares"},
    FeatureName{2, "RARP", "back-end sends the guest's RARP; SEND_RARP"},
    FeatureName{3, "REPLY_ACK", "any request can ask for an acknowledgement"},
    FeatureName{4, "MTU", "NET_SET_MTU"},
    FeatureName{5, "BACKEND_REQ", "back-end sends requests; SET_BACKEND_REQ_FD"},
    FeatureName{6, "CROSS_ENDIAN", "SET_VRING_ENDIAN, for legacy guests"},
    FeatureName{7, "CRYPTO_SESSION", "sessions of crypto devices"},
    FeatureName{8, "PAGEFAULT", "post-copy migration over userfaultfd"},
    FeatureName{9, "CONFIG", "back-end serves the config space"},
    FeatureName{10, "BACKEND_SEND_FD", "back-end requests can bring descriptors"},
    FeatureName{11, "HOST_NOTIFIER", "doorbells mapped into the guest"},
    FeatureName{12, "INFLIGHT_SHMFD", "descriptors in flight tracked in shared memory"},
    FeatureName{13, "RESET_DEVICE", "RESET_DEVICE"},
    FeatureName{14, "INBAND_NOTIFICATIONS", "kicks and calls as messages"},
    FeatureName{15, "CONFIGURE_MEM_SLOTS", "memory regions added and removed one by one"},
    FeatureName{16, "STATUS", "SET_STATUS and GET_STATUS"},
    FeatureName{17, "XEN_MMAP", "memory regions of Xen guests"},
    FeatureName{18, "SHARED_OBJECT", "dma-buf objects shared between back-ends"},
    FeatureName{19, "DEVICE_STATE", "back-end's state migrates through a channel"},
    FeatureName{20, "GET_VRING_BASE_INFLIGHT", "GET_VRING_BASE does not wait for what is in flight"},
    FeatureName{21, "GPA_ADDRESSES", "rings and regions are named by guest addresses alone"},
    FeatureName{22, "SHMEM", "VIRTIO shared memory regions"},
    FeatureName{23, "GET_VRING_BASE_SKIP_DRAIN", "GET_VRING_BASE_SKIP_DRAIN"},
};

std::string name_of(std::span<const FeatureName> names, unsigned bit) {
  const auto known = std::ranges::find(names, bit, &FeatureName::bit);
  return known != names.end() ? std::string(known->name) : fmt::format("bit {}", bit);
}

std::string list(std::span<const FeatureName> names, std::uint64_t bits) {
  if (bits == 0) return "none";
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((bits >> bit & 1) == 0) continue;
    if (!text.empty()) text += ' ';
    text += name_of(names, bit);
  }
  return text;
}

}  // namespace

std::span<const FeatureName> virtio_feature_names() noexcept { return virtio_names; }
std::span<const FeatureName> protocol_feature_names() noexcept { return protocol_names; }

std::string feature_name(VirtioFeature bit) { return name_of(virtio_names, static_cast<unsigned>(bit)); }
std::string feature_name(ProtocolFeature bit) { return name_of(protocol_names, static_cast<unsigned>(bit)); }

std::string to_string(FeatureSet set) { return list(virtio_names, set.bits()); }
std::string to_string(ProtocolFeatureSet set) { return list(protocol_names, set.bits()); }

}  // namespace vhostx::protocol
