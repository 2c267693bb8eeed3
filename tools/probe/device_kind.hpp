// SPDX-License-Identifier: BSD-3-Clause
// What kind of device a back-end is: no message of the protocol says so.
#pragma once

#include <span>

#include "protocol/features.hpp"

namespace vhostx::tools::probe {

/// Pure. A network device by what only one offers: RARP, MTU, or feature bits that other devices do not define.
bool looks_like_net(protocol::FeatureSet features, protocol::ProtocolFeatureSet protocol) noexcept;

/// Virtio bits by name. Bits 0 to 23 and from 50 on have a meaning of their own in each kind of device
/// (VIRTIO 1.2, 2.2): of other devices than network ones they have no name here.
std::span<const protocol::FeatureName> virtio_names(bool net) noexcept;

}  // namespace vhostx::tools::probe
