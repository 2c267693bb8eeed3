// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/features.hpp"

#include <array>

#include <vhostx/features.hpp>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using protocol::FeatureSet;
using protocol::ProtocolFeatureSet;
using V = protocol::VirtioFeature;
using P = protocol::ProtocolFeature;

// docs/features.md has the reason for each bit, and what was tried; a test compares it with these four sets.
//
// STATUS, MAC, CTRL_VQ and what depends on a control queue are the front-end's own: it emulates that queue itself.
constexpr FeatureSet by_default{V::net_csum,
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
                                V::vhost_log_all,
                                V::vhost_user_protocol_features,
                                V::version_1,
                                V::ring_packed};

// RING_RESET: no QEMU up to 11.1 tells a vhost-user back-end that a queue was reset, so that the back-end goes on
// writing into buffers that the guest has freed. Of the others no Linux guest on a QEMU of the tests makes use.
constexpr FeatureSet on_request{V::in_order, V::ring_reset, V::net_guest_uso4, V::net_guest_uso6, V::net_host_uso};

// HOST_NOTIFIER and the like are not implemented; QEMU warns of CONFIG on a network device.
constexpr ProtocolFeatureSet protocol_by_default{P::mq,  P::log_shmfd,           P::rarp,  P::reply_ack,
                                                 P::mtu, P::configure_mem_slots, P::status};

// QEMU takes any protocol feature below its highest one, also INBAND_NOTIFICATIONS, which it does not implement; and
// its network device keeps no record for INFLIGHT_SHMFD.
constexpr ProtocolFeatureSet protocol_on_request{P::backend_req, P::inflight_shmfd, P::reset_device,
                                                 P::inband_notifications, P::gpa_addresses};

// QEMU from 10.0 on moves the state of a network device wherever this was negotiated.
constexpr ProtocolFeatureSet protocol_of_options{P::device_state};

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
    Dependency{V::vhost_log_all, {V::vhost_user_protocol_features}},
    // After those that they need.
    Dependency{V::net_guest_ecn, {V::net_guest_tso4, V::net_guest_tso6}},
    Dependency{V::net_host_ecn, {V::net_host_tso4, V::net_host_tso6}},
    // Bits from 33 on are a modern driver's.
    Dependency{V::in_order, {V::version_1}},
    Dependency{V::ring_reset, {V::version_1}},
    Dependency{V::ring_packed, {V::version_1}},
    Dependency{V::net_guest_uso4, {V::version_1}},
    Dependency{V::net_guest_uso6, {V::version_1}},
    Dependency{V::net_host_uso, {V::version_1}},
};

template <typename Set>
Result<void> check_extra(const char* option, Set extra, Set default_set, Set possible) {
  const Set unknown = extra.without(default_set | possible);
  if (unknown.empty()) return {};
  return invalid_argument("{} is {:#x}: cannot offer {}, expected some of: {}", option, extra.bits(),
                          protocol::to_string(unknown), protocol::to_string(possible));
}

}  // namespace

FeatureSet default_features() noexcept { return by_default; }
FeatureSet features_on_request() noexcept { return on_request; }
ProtocolFeatureSet default_protocol_features() noexcept { return protocol_by_default; }
ProtocolFeatureSet protocol_features_on_request() noexcept { return protocol_on_request; }
ProtocolFeatureSet protocol_features_of_options() noexcept { return protocol_of_options; }

Result<void> check_extra_features(const PortOptions& options) {
  const FeatureSet virtio(options.features_extra);
  const ProtocolFeatureSet protocol(options.protocol_features_extra);
  if (auto good = check_extra("features_extra", virtio, by_default, on_request); !good) return good;
  if (auto good = check_extra("protocol_features_extra", protocol, protocol_by_default, protocol_on_request); !good)
    return good;
  if (options.zero_copy && virtio.has(V::in_order))
    return invalid_argument(
        "features_extra has VIRTIO_F_IN_ORDER: expected zero_copy to be off, as lent buffers come back in "
        "any order");
  if (protocol.has(P::inband_notifications) && !protocol.has(P::backend_req))
    return invalid_argument("protocol_features_extra has INBAND_NOTIFICATIONS: expected BACKEND_REQ with it");
  return {};
}

FeatureSet offered_features(const PortOptions& options) noexcept {
  const FeatureSet extra = on_request & FeatureSet(options.features_extra);
  FeatureSet offered = (by_default | extra).without(FeatureSet(options.features_masked));
  if (options.queue_pairs_max < 2) offered.clear(V::net_mq);
  if (options.zero_copy) offered.clear(V::in_order);  // loans come back in any order
  for (const auto& [feature, either] : dependencies)
    if ((offered & either).empty()) offered.clear(feature);
  return offered;
}

ProtocolFeatureSet offered_protocol_features(const PortOptions& options) noexcept {
  const FeatureSet virtio = offered_features(options);
  if (!virtio.has(V::vhost_user_protocol_features)) return {};
  ProtocolFeatureSet offered = protocol_by_default;
  offered = offered | (protocol_on_request & ProtocolFeatureSet(options.protocol_features_extra));
  if (options.migrate_stats || options.save_state || options.load_state) offered.set(P::device_state);
  if (!virtio.has(V::net_mtu)) offered.clear(P::mtu);
  if (!virtio.has(V::vhost_log_all)) offered.clear(P::log_shmfd);
  return offered;
}

Result<void> check_features(FeatureSet wanted, FeatureSet offered) {
  if (offered.has_all(wanted)) return {};
  return protocol_violation("SET_FEATURES {:#x}: never offered: {}", wanted.bits(),
                            protocol::to_string(wanted.without(offered)));
}

Result<void> check_protocol_features(ProtocolFeatureSet wanted, ProtocolFeatureSet offered) {
  if (!offered.has_all(wanted))
    return protocol_violation("SET_PROTOCOL_FEATURES {:#x}: never offered: {}", wanted.bits(),
                              protocol::to_string(wanted.without(offered)));
  if (wanted.has(P::inband_notifications) && !wanted.has_all({P::reply_ack, P::backend_req}))
    return protocol_violation("SET_PROTOCOL_FEATURES {:#x}: INBAND_NOTIFICATIONS needs REPLY_ACK and BACKEND_REQ",
                              wanted.bits());
  return {};
}

}  // namespace vhostx::backend

namespace vhostx {

std::string describe_features(std::uint64_t bits) { return protocol::to_string(protocol::FeatureSet(bits)); }
std::string describe_protocol_features(std::uint64_t bits) {
  return protocol::to_string(protocol::ProtocolFeatureSet(bits));
}

}  // namespace vhostx
