// SPDX-License-Identifier: BSD-3-Clause
// What this library offers of virtio's and the protocol's features, and which wishes of a front-end it takes.
#pragma once

#include <cstdint>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

#include "protocol/features.hpp"

namespace vhostx::backend {

/// What GET_FEATURES answers: what the library can do, without what the options mask and what depends on that.
protocol::FeatureSet offered_features(const PortOptions& options) noexcept;
/// What GET_PROTOCOL_FEATURES answers; nothing when VHOST_USER_F_PROTOCOL_FEATURES itself is masked.
protocol::ProtocolFeatureSet offered_protocol_features(const PortOptions& options) noexcept;

/// Error: protocol_violation, which names the bits that were never offered.
Result<void> check_features(protocol::FeatureSet wanted, protocol::FeatureSet offered);
/// The same; and INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK (vhost-user "In-band notifications").
Result<void> check_protocol_features(protocol::ProtocolFeatureSet wanted, protocol::ProtocolFeatureSet offered);

}  // namespace vhostx::backend
