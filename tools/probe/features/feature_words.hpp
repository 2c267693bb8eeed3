// SPDX-License-Identifier: BSD-3-Clause
// Feature bits as people write them.
#pragma once

#include <string>

#include <vhostx/result.hpp>

#include "protocol/features.hpp"

namespace vhostx::tools::probe {

/// Words with commas between them: names with or without their prefix, in any case ("VIRTIO_NET_F_MRG_RXBUF",
/// "mrg_rxbuf"), masks ("0x130008000"), "bit=N", "all" (every bit with a name), "none", and any of them with "-" before
/// it to take it away. They are applied from left to right, to `begin` where the first word has a "+" or a "-" before
/// it, else to nothing. Error: names the word, and what it comes closest to.
Result<protocol::FeatureSet> parse_features(const std::string& text, protocol::FeatureSet begin);
Result<protocol::ProtocolFeatureSet> parse_protocol_features(const std::string& text,
                                                             protocol::ProtocolFeatureSet begin);

}  // namespace vhostx::tools::probe
