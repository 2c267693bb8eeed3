// SPDX-License-Identifier: BSD-3-Clause
// Feature bits, virtio's and the protocol's: numbers, names, and sets of them that can be printed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace vhostx::protocol {

/// Bits of SET_PROTOCOL_FEATURES.
enum class ProtocolFeature : unsigned {
  mq = 0,
  log_shmfd = 1,
  rarp = 2,
  reply_ack = 3,
  mtu = 4,
  backend_req = 5,
  cross_endian = 6,
  crypto_session = 7,
  pagefault = 8,
  config = 9,
  backend_send_fd = 10,
  host_notifier = 11,
  inflight_shmfd = 12,
  reset_device = 13,
  inband_notifications = 14,
  configure_mem_slots = 15,
  status = 16,
  xen_mmap = 17,
  shared_object = 18,
  device_state = 19,
  get_vring_base_inflight = 20,
  gpa_addresses = 21,
  shmem = 22,
  get_vring_base_skip_drain = 23,
};

/// Bits of SET_FEATURES that a network device or the transport defines (VIRTIO 1.2, 5.1.3 and 6).
enum class VirtioFeature : unsigned {
  net_csum = 0,
  net_guest_csum = 1,
  net_ctrl_guest_offloads = 2,
  net_mtu = 3,
  net_mac = 5,
  net_gso = 6,
  net_guest_tso4 = 7,
  net_guest_tso6 = 8,
  net_guest_ecn = 9,
  net_guest_ufo = 10,
  net_host_tso4 = 11,
  net_host_tso6 = 12,
  net_host_ecn = 13,
  net_host_ufo = 14,
  net_mrg_rxbuf = 15,
  net_status = 16,
  net_ctrl_vq = 17,
  net_ctrl_rx = 18,
  net_ctrl_vlan = 19,
  net_ctrl_rx_extra = 20,
  net_guest_announce = 21,
  net_mq = 22,
  net_ctrl_mac_addr = 23,
  notify_on_empty = 24,
  vhost_log_all = 26,
  any_layout = 27,
  indirect_desc = 28,
  event_idx = 29,
  vhost_user_protocol_features = 30,
  version_1 = 32,
  iommu_platform = 33,
  ring_packed = 34,
  in_order = 35,
  order_platform = 36,
  sr_iov = 37,
  notification_data = 38,
  notif_config_data = 39,
  ring_reset = 40,
  net_guest_uso4 = 54,
  net_guest_uso6 = 55,
  net_host_uso = 56,
  net_hash_report = 57,
  net_guest_hdrlen = 59,
  net_rss = 60,
  net_rsc_ext = 61,
  net_standby = 62,
  net_speed_duplex = 63,
};

/// One bit, for people.
struct FeatureName {
  unsigned bit;
  std::string_view name;     ///< As the specification has it, e.g. "VIRTIO_NET_F_CSUM".
  std::string_view meaning;  ///< One line.
};

/// Every bit with a name, ascending.
std::span<const FeatureName> virtio_feature_names() noexcept;
std::span<const FeatureName> protocol_feature_names() noexcept;

/// The specification's name, or "bit <n>" for one that this library does not know.
std::string feature_name(VirtioFeature bit);
std::string feature_name(ProtocolFeature bit);

/// A set of 64 feature bits of one kind.
template <typename Bit>
class BasicFeatureSet {
 public:
  constexpr BasicFeatureSet() noexcept = default;
  constexpr explicit BasicFeatureSet(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr BasicFeatureSet(std::initializer_list<Bit> bits) noexcept {
    for (const Bit bit : bits) set(bit);
  }

  constexpr std::uint64_t bits() const noexcept { return bits_; }
  constexpr bool has(Bit bit) const noexcept { return (bits_ & mask(bit)) != 0; }
  constexpr bool has_all(BasicFeatureSet other) const noexcept { return other.without(*this).empty(); }
  constexpr bool empty() const noexcept { return bits_ == 0; }

  constexpr BasicFeatureSet& set(Bit bit) noexcept {
    bits_ |= mask(bit);
    return *this;
  }
  constexpr BasicFeatureSet& clear(Bit bit) noexcept {
    bits_ &= ~mask(bit);
    return *this;
  }
  constexpr BasicFeatureSet without(BasicFeatureSet other) const noexcept {
    return BasicFeatureSet(bits_ & ~other.bits_);
  }

  friend constexpr BasicFeatureSet operator&(BasicFeatureSet a, BasicFeatureSet b) noexcept {
    return BasicFeatureSet(a.bits_ & b.bits_);
  }
  friend constexpr BasicFeatureSet operator|(BasicFeatureSet a, BasicFeatureSet b) noexcept {
    return BasicFeatureSet(a.bits_ | b.bits_);
  }
  friend constexpr bool operator==(BasicFeatureSet, BasicFeatureSet) noexcept = default;

 private:
  static constexpr std::uint64_t mask(Bit bit) noexcept { return std::uint64_t{1} << static_cast<unsigned>(bit); }

  std::uint64_t bits_ = 0;
};

using FeatureSet = BasicFeatureSet<VirtioFeature>;
using ProtocolFeatureSet = BasicFeatureSet<ProtocolFeature>;

/// Names with blanks between them, ascending; unknown bits as "bit <n>"; "none" for the empty set.
std::string to_string(FeatureSet set);
std::string to_string(ProtocolFeatureSet set);

}  // namespace vhostx::protocol
