// SPDX-License-Identifier: BSD-3-Clause
#include "backend/features.hpp"

#include <array>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using protocol::FeatureSet;
using protocol::ProtocolFeatureSet;
using V = protocol::VirtioFeature;
using P = protocol::ProtocolFeature;

// STATUS, MAC, CTRL_VQ and what depends on a control queue are the front-end's own: it emulates that queue itself.
constexpr FeatureSet supported{V::net_csum,
                               V::net_guest_csum,
                               V::net_mtu,
                               V::net_guest_tso4,
                               V::net_guest_tso6,
                               V::net_guest_ecn,
                               V::net_host_tso4,
                               V::net_host_tso6,
                               V::net_host_ecn,
                               V::net_mrg_rxbuf,
                               V::net_guest_announce,
                               V::net_mq,
                               V::any_layout,
                               V::indirect_desc,
                               V::event_idx,
                               V::vhost_user_protocol_features,
                               V::version_1,
                               V::in_order,
                               V::ring_reset,
                               V::net_guest_uso4,
                               V::net_guest_uso6,
                               V::net_host_uso};

// HOST_NOTIFIER, LOG_SHMFD, INFLIGHT_SHMFD and the like are not implemented; QEMU warns of CONFIG on a network device.
constexpr ProtocolFeatureSet supported_protocol{P::mq,
                                                P::rarp,
                                                P::reply_ack,
                                                P::mtu,
                                                P::backend_req,
                                                P::backend_send_fd,
                                                P::reset_device,
                                                P::inband_notifications,
                                                P::configure_mem_slots,
                                                P::status};

// VIRTIO 1.2, 5.1.3.1: `feature` needs one of `either`.
struct Dependency {
  V feature;
  FeatureSet either;
};
constexpr std::array dependencies{
    Dependency{V::net_guest_tso4, {V::net_guest_csum}},
    Dependency{V::net_guest_tso6, {V::net_guest_csum}},
    Dependency{V::net_guest_uso4, {V::net_guest_csum}},
    Dependency{V::net_guest_uso6, {V::net_guest_csum}},
    Dependency{V::net_host_tso4, {V::net_csum}},
    Dependency{V::net_host_tso6, {V::net_csum}},
    Dependency{V::net_host_uso, {V::net_csum}},
    // After those that they need.
    Dependency{V::net_guest_ecn, {V::net_guest_tso4, V::net_guest_tso6}},
    Dependency{V::net_host_ecn, {V::net_host_tso4, V::net_host_tso6}},
    // Bits from 33 on are a modern driver's.
    Dependency{V::in_order, {V::version_1}},
    Dependency{V::ring_reset, {V::version_1}},
    Dependency{V::net_guest_uso4, {V::version_1}},
    Dependency{V::net_guest_uso6, {V::version_1}},
    Dependency{V::net_host_uso, {V::version_1}},
};

}  // namespace

FeatureSet offered_features(const PortOptions& options) noexcept {
  FeatureSet offered = supported.without(FeatureSet(options.features_masked));
  if (options.queue_pairs_max < 2) offered.clear(V::net_mq);
  if (options.zero_copy) offered.clear(V::in_order);  // loans come back in any order
  for (const auto& [feature, either] : dependencies)
    if ((offered & either).empty()) offered.clear(feature);
  return offered;
}

ProtocolFeatureSet offered_protocol_features(const PortOptions& options) noexcept {
  const FeatureSet virtio = offered_features(options);
  if (!virtio.has(V::vhost_user_protocol_features)) return {};
  ProtocolFeatureSet offered = supported_protocol;
  if (!virtio.has(V::net_mtu)) offered.clear(P::mtu);
  return offered;
}

Result<void> check_features(FeatureSet wanted, FeatureSet offered) {
  if (offered.has_all(wanted)) return {};
  return make_error(ErrorCode::protocol_violation, "SET_FEATURES {:#x}: never offered: {}", wanted.bits(),
                    protocol::to_string(wanted.without(offered)));
}

Result<void> check_protocol_features(ProtocolFeatureSet wanted, ProtocolFeatureSet offered) {
  if (!offered.has_all(wanted))
    return make_error(ErrorCode::protocol_violation, "SET_PROTOCOL_FEATURES {:#x}: never offered: {}", wanted.bits(),
                      protocol::to_string(wanted.without(offered)));
  if (wanted.has(P::inband_notifications) && !wanted.has_all({P::reply_ack, P::backend_req}))
    return make_error(ErrorCode::protocol_violation,
                      "SET_PROTOCOL_FEATURES {:#x}: INBAND_NOTIFICATIONS needs REPLY_ACK and BACKEND_REQ",
                      wanted.bits());
  return {};
}

}  // namespace vhostx::backend
