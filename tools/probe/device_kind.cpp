// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/device_kind.hpp"

#include <algorithm>
#include <cstddef>

namespace vhostx::tools::probe {

using namespace protocol;

bool looks_like_net(FeatureSet features, ProtocolFeatureSet protocol) noexcept {
  const ProtocolFeatureSet only_net{ProtocolFeature::rarp, ProtocolFeature::mtu};
  const FeatureSet net_bits{VirtioFeature::net_guest_announce, VirtioFeature::net_mq};
  if (!(protocol & only_net).empty() || !(features & net_bits).empty()) return true;
  return features.has(VirtioFeature::net_mrg_rxbuf) && !protocol.has(ProtocolFeature::config);
}

std::span<const FeatureName> virtio_names(bool net) noexcept {
  constexpr unsigned device_bits_end = 24;
  constexpr unsigned device_bits_again = 50;
  const auto all = virtio_feature_names();
  if (net) return all;
  const auto behind = [all](unsigned bit) {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [bit](const FeatureName& name) { return name.bit < bit; }));
  };
  return all.subspan(behind(device_bits_end), behind(device_bits_again) - behind(device_bits_end));
}

}  // namespace vhostx::tools::probe
