// SPDX-License-Identifier: BSD-3-Clause
// The virtio and protocol features that this library offers, and checks of what a front-end negotiates.
#pragma once

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "protocol/features.hpp"

namespace vhostx::backend {

/// The features that a port offers by default, and those that it offers only if its options name or need them: bits
/// whose front-end or guest part was not seen to work with a Linux guest on QEMU (docs/features.md). Disjoint.
protocol::FeatureSet default_features() noexcept;
protocol::FeatureSet features_on_request() noexcept;
protocol::ProtocolFeatureSet default_protocol_features() noexcept;
protocol::ProtocolFeatureSet protocol_features_on_request() noexcept;
/// Those that another option asks for than protocol_features_extra.
protocol::ProtocolFeatureSet protocol_features_of_options() noexcept;

/// Checks PortOptions::features_extra and protocol_features_extra. Error: invalid_argument, which names bits that the
/// library cannot offer, or an option or bit that they contradict or need.
Result<void> check_extra_features(const PortOptions& options);

/// The answer to GET_FEATURES: the defaults and what the options add, without what they mask and what depends on that.
protocol::FeatureSet offered_features(const PortOptions& options) noexcept;
/// The answer to GET_PROTOCOL_FEATURES; empty if VHOST_USER_F_PROTOCOL_FEATURES itself is masked.
protocol::ProtocolFeatureSet offered_protocol_features(const PortOptions& options) noexcept;

/// Error: protocol_violation, which names the bits that were never offered.
Result<void> check_features(protocol::FeatureSet wanted, protocol::FeatureSet offered);
/// The same; and INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK (vhost-user "In-band notifications").
Result<void> check_protocol_features(protocol::ProtocolFeatureSet wanted, protocol::ProtocolFeatureSet offered);

}  // namespace vhostx::backend
