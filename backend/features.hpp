// SPDX-License-Identifier: BSD-3-Clause
// What this library offers of virtio's and the protocol's features, and which wishes of a front-end it takes.
#pragma once

#include <cstdint>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "protocol/features.hpp"

namespace vhostx::backend {

/// What a port offers unless its options say otherwise, and what it offers only when they name it: bits that need a
/// front-end's or a guest's part that was not seen to be done by a Linux guest on QEMU (docs/features.md). Disjoint.
protocol::FeatureSet default_features() noexcept;
protocol::FeatureSet features_on_request() noexcept;
protocol::ProtocolFeatureSet default_protocol_features() noexcept;
protocol::ProtocolFeatureSet protocol_features_on_request() noexcept;

/// PortOptions::features_extra and protocol_features_extra. Error: invalid_argument, which names bits that the library
/// cannot offer, or the option or bit that they contradict or lack.
Result<void> check_extra_features(const PortOptions& options);

/// What GET_FEATURES answers: the defaults and what the options add, without what they mask and what depends on that.
protocol::FeatureSet offered_features(const PortOptions& options) noexcept;
/// What GET_PROTOCOL_FEATURES answers; nothing when VHOST_USER_F_PROTOCOL_FEATURES itself is masked.
protocol::ProtocolFeatureSet offered_protocol_features(const PortOptions& options) noexcept;

/// Error: protocol_violation, which names the bits that were never offered.
Result<void> check_features(protocol::FeatureSet wanted, protocol::FeatureSet offered);
/// The same; and INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK (vhost-user "In-band notifications").
Result<void> check_protocol_features(protocol::ProtocolFeatureSet wanted, protocol::ProtocolFeatureSet offered);

}  // namespace vhostx::backend
