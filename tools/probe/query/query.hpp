// SPDX-License-Identifier: BSD-3-Clause
// What a back-end says of itself when it is asked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "protocol/features.hpp"
#include "tools/front_end/front_end.hpp"

namespace vhostx::tools::probe {

/// One question. Not asked where the feature that it belongs to is not offered.
template <typename T>
struct Answer {
  bool asked = false;
  std::optional<T> value;
  std::string problem;  ///< Why there is no value, though it was asked for.
};

/// The first fields of struct virtio_net_config (VIRTIO 1.2, 5.1.4).
struct NetConfig {
  std::array<std::uint8_t, 6> mac{};
  std::uint16_t status = 0;
  std::uint16_t queue_pairs_max = 0;
  std::uint16_t mtu = 0;
};

/// The first bytes of the device's configuration space: what they mean depends on the kind of device.
struct ConfigSpace {
  std::array<std::byte, 12> bytes{};
  NetConfig as_net() const noexcept;
};

struct BackEndFacts {
  protocol::FeatureSet features;
  bool net = true;  ///< By what it offers.
  Answer<protocol::ProtocolFeatureSet> protocol_features;
  Answer<std::uint64_t> queue_pairs;   ///< GET_QUEUE_NUM
  Answer<std::uint64_t> memory_slots;  ///< GET_MAX_MEM_SLOTS
  Answer<std::uint64_t> status;        ///< GET_STATUS
  Answer<ConfigSpace> config;          ///< GET_CONFIG
  std::vector<std::string> findings;   ///< What does not go together, or has two meanings.
};

/// Asks; of what it sends, only SET_PROTOCOL_FEATURES changes anything, and that ends with the connection. Error: no
/// answer to the very first question. Later ones stand in their Answer.
Result<BackEndFacts> query(FrontEnd& front_end);

/// Pure: what is remarkable about these bits.
std::vector<std::string> find_conflicts(protocol::FeatureSet features, protocol::ProtocolFeatureSet protocol_features);

}  // namespace vhostx::tools::probe
