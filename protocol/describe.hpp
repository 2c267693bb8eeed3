// SPDX-License-Identifier: BSD-3-Clause
// A message in one line, for logs and tools.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::protocol {

/// E.g. "SET_VRING_NUM vring 0 num 256", "GET_FEATURES reply 0x140000000 (...)"; any message, checked or not.
std::string describe(Incoming incoming, const Message& message);

/// The bits of a device status (VIRTIO 1.2, 2.1) by name, in the order in which a driver sets them:
/// "ACKNOWLEDGE|DRIVER|FEATURES_OK|DRIVER_OK". 0 is "reset"; bits without a name are one number.
std::string describe_status(std::uint64_t status);

/// What SET_DEVICE_STATE_FD asks for: "save phase stopped"; what has no word is a number.
std::string describe(const DeviceState& state);

}  // namespace vhostx::protocol
