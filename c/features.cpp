// SPDX-License-Identifier: BSD-3-Clause
#include <vhostx/c/features.h>
#include <vhostx/features.hpp>

#include "c/report.hpp"

namespace vhostx {

static_assert(feature_bits(VirtioFeature::net_csum) == VHOSTX_VIRTIO_NET_F_CSUM);
static_assert(feature_bits(VirtioFeature::net_guest_csum) == VHOSTX_VIRTIO_NET_F_GUEST_CSUM);
static_assert(feature_bits(VirtioFeature::net_ctrl_guest_offloads) == VHOSTX_VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
static_assert(feature_bits(VirtioFeature::net_mtu) == VHOSTX_VIRTIO_NET_F_MTU);
static_assert(feature_bits(VirtioFeature::net_mac) == VHOSTX_VIRTIO_NET_F_MAC);
static_assert(feature_bits(VirtioFeature::net_gso) == VHOSTX_VIRTIO_NET_F_GSO);
static_assert(feature_bits(VirtioFeature::net_guest_tso4) == VHOSTX_VIRTIO_NET_F_GUEST_TSO4);
static_assert(feature_bits(VirtioFeature::net_guest_tso6) == VHOSTX_VIRTIO_NET_F_GUEST_TSO6);
static_assert(feature_bits(VirtioFeature::net_guest_ecn) == VHOSTX_VIRTIO_NET_F_GUEST_ECN);
static_assert(feature_bits(VirtioFeature::net_guest_ufo) == VHOSTX_VIRTIO_NET_F_GUEST_UFO);
static_assert(feature_bits(VirtioFeature::net_host_tso4) == VHOSTX_VIRTIO_NET_F_HOST_TSO4);
static_assert(feature_bits(VirtioFeature::net_host_tso6) == VHOSTX_VIRTIO_NET_F_HOST_TSO6);
static_assert(feature_bits(VirtioFeature::net_host_ecn) == VHOSTX_VIRTIO_NET_F_HOST_ECN);
static_assert(feature_bits(VirtioFeature::net_host_ufo) == VHOSTX_VIRTIO_NET_F_HOST_UFO);
static_assert(feature_bits(VirtioFeature::net_mrg_rxbuf) == VHOSTX_VIRTIO_NET_F_MRG_RXBUF);
static_assert(feature_bits(VirtioFeature::net_status) == VHOSTX_VIRTIO_NET_F_STATUS);
static_assert(feature_bits(VirtioFeature::net_ctrl_vq) == VHOSTX_VIRTIO_NET_F_CTRL_VQ);
static_assert(feature_bits(VirtioFeature::net_ctrl_rx) == VHOSTX_VIRTIO_NET_F_CTRL_RX);
static_assert(feature_bits(VirtioFeature::net_ctrl_vlan) == VHOSTX_VIRTIO_NET_F_CTRL_VLAN);
static_assert(feature_bits(VirtioFeature::net_ctrl_rx_extra) == VHOSTX_VIRTIO_NET_F_CTRL_RX_EXTRA);
static_assert(feature_bits(VirtioFeature::net_guest_announce) == VHOSTX_VIRTIO_NET_F_GUEST_ANNOUNCE);
static_assert(feature_bits(VirtioFeature::net_mq) == VHOSTX_VIRTIO_NET_F_MQ);
static_assert(feature_bits(VirtioFeature::net_ctrl_mac_addr) == VHOSTX_VIRTIO_NET_F_CTRL_MAC_ADDR);
static_assert(feature_bits(VirtioFeature::notify_on_empty) == VHOSTX_VIRTIO_F_NOTIFY_ON_EMPTY);
static_assert(feature_bits(VirtioFeature::vhost_log_all) == VHOSTX_VHOST_F_LOG_ALL);
static_assert(feature_bits(VirtioFeature::any_layout) == VHOSTX_VIRTIO_F_ANY_LAYOUT);
static_assert(feature_bits(VirtioFeature::indirect_desc) == VHOSTX_VIRTIO_F_INDIRECT_DESC);
static_assert(feature_bits(VirtioFeature::event_idx) == VHOSTX_VIRTIO_F_EVENT_IDX);
static_assert(feature_bits(VirtioFeature::vhost_user_protocol_features) == VHOSTX_VHOST_USER_F_PROTOCOL_FEATURES);
static_assert(feature_bits(VirtioFeature::version_1) == VHOSTX_VIRTIO_F_VERSION_1);
static_assert(feature_bits(VirtioFeature::iommu_platform) == VHOSTX_VIRTIO_F_ACCESS_PLATFORM);
static_assert(feature_bits(VirtioFeature::ring_packed) == VHOSTX_VIRTIO_F_RING_PACKED);
static_assert(feature_bits(VirtioFeature::in_order) == VHOSTX_VIRTIO_F_IN_ORDER);
static_assert(feature_bits(VirtioFeature::order_platform) == VHOSTX_VIRTIO_F_ORDER_PLATFORM);
static_assert(feature_bits(VirtioFeature::sr_iov) == VHOSTX_VIRTIO_F_SR_IOV);
static_assert(feature_bits(VirtioFeature::notification_data) == VHOSTX_VIRTIO_F_NOTIFICATION_DATA);
static_assert(feature_bits(VirtioFeature::notif_config_data) == VHOSTX_VIRTIO_F_NOTIF_CONFIG_DATA);
static_assert(feature_bits(VirtioFeature::ring_reset) == VHOSTX_VIRTIO_F_RING_RESET);
static_assert(feature_bits(VirtioFeature::net_guest_uso4) == VHOSTX_VIRTIO_NET_F_GUEST_USO4);
static_assert(feature_bits(VirtioFeature::net_guest_uso6) == VHOSTX_VIRTIO_NET_F_GUEST_USO6);
static_assert(feature_bits(VirtioFeature::net_host_uso) == VHOSTX_VIRTIO_NET_F_HOST_USO);
static_assert(feature_bits(VirtioFeature::net_hash_report) == VHOSTX_VIRTIO_NET_F_HASH_REPORT);
static_assert(feature_bits(VirtioFeature::net_guest_hdrlen) == VHOSTX_VIRTIO_NET_F_GUEST_HDRLEN);
static_assert(feature_bits(VirtioFeature::net_rss) == VHOSTX_VIRTIO_NET_F_RSS);
static_assert(feature_bits(VirtioFeature::net_rsc_ext) == VHOSTX_VIRTIO_NET_F_RSC_EXT);
static_assert(feature_bits(VirtioFeature::net_standby) == VHOSTX_VIRTIO_NET_F_STANDBY);
static_assert(feature_bits(VirtioFeature::net_speed_duplex) == VHOSTX_VIRTIO_NET_F_SPEED_DUPLEX);
static_assert(feature_bits(ProtocolFeature::mq) == VHOSTX_PROTOCOL_F_MQ);
static_assert(feature_bits(ProtocolFeature::log_shmfd) == VHOSTX_PROTOCOL_F_LOG_SHMFD);
static_assert(feature_bits(ProtocolFeature::rarp) == VHOSTX_PROTOCOL_F_RARP);
static_assert(feature_bits(ProtocolFeature::reply_ack) == VHOSTX_PROTOCOL_F_REPLY_ACK);
static_assert(feature_bits(ProtocolFeature::mtu) == VHOSTX_PROTOCOL_F_MTU);
static_assert(feature_bits(ProtocolFeature::backend_req) == VHOSTX_PROTOCOL_F_BACKEND_REQ);
static_assert(feature_bits(ProtocolFeature::cross_endian) == VHOSTX_PROTOCOL_F_CROSS_ENDIAN);
static_assert(feature_bits(ProtocolFeature::crypto_session) == VHOSTX_PROTOCOL_F_CRYPTO_SESSION);
static_assert(feature_bits(ProtocolFeature::pagefault) == VHOSTX_PROTOCOL_F_PAGEFAULT);
static_assert(feature_bits(ProtocolFeature::config) == VHOSTX_PROTOCOL_F_CONFIG);
static_assert(feature_bits(ProtocolFeature::backend_send_fd) == VHOSTX_PROTOCOL_F_BACKEND_SEND_FD);
static_assert(feature_bits(ProtocolFeature::host_notifier) == VHOSTX_PROTOCOL_F_HOST_NOTIFIER);
static_assert(feature_bits(ProtocolFeature::inflight_shmfd) == VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD);
static_assert(feature_bits(ProtocolFeature::reset_device) == VHOSTX_PROTOCOL_F_RESET_DEVICE);
static_assert(feature_bits(ProtocolFeature::inband_notifications) == VHOSTX_PROTOCOL_F_INBAND_NOTIFICATIONS);
static_assert(feature_bits(ProtocolFeature::configure_mem_slots) == VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
static_assert(feature_bits(ProtocolFeature::status) == VHOSTX_PROTOCOL_F_STATUS);
static_assert(feature_bits(ProtocolFeature::xen_mmap) == VHOSTX_PROTOCOL_F_XEN_MMAP);
static_assert(feature_bits(ProtocolFeature::shared_object) == VHOSTX_PROTOCOL_F_SHARED_OBJECT);
static_assert(feature_bits(ProtocolFeature::device_state) == VHOSTX_PROTOCOL_F_DEVICE_STATE);
static_assert(feature_bits(ProtocolFeature::get_vring_base_inflight) == VHOSTX_PROTOCOL_F_GET_VRING_BASE_INFLIGHT);
static_assert(feature_bits(ProtocolFeature::gpa_addresses) == VHOSTX_PROTOCOL_F_GPA_ADDRESSES);
static_assert(feature_bits(ProtocolFeature::shmem) == VHOSTX_PROTOCOL_F_SHMEM);
static_assert(feature_bits(ProtocolFeature::get_vring_base_skip_drain) == VHOSTX_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN);

namespace c {
namespace {

size_t write_text(std::string (*describe)(std::uint64_t), std::uint64_t bits, char* text, size_t size) noexcept {
  try {
    const std::string all = describe(bits);
    if (size != 0) copy_text(text, size, all);
    return all.size();
  } catch (...) {
    if (size != 0) text[0] = '\0';
    return 0;
  }
}

}  // namespace
}  // namespace c
}  // namespace vhostx

size_t vhostx_describe_features(uint64_t bits, char* text, size_t size) {
  return vhostx::c::write_text(vhostx::describe_features, bits, text, size);
}

size_t vhostx_describe_protocol_features(uint64_t bits, char* text, size_t size) {
  return vhostx::c::write_text(vhostx::describe_protocol_features, bits, text, size);
}
