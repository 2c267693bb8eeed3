// SPDX-License-Identifier: BSD-3-Clause
// A message in one line, for logs and tools.
#pragma once

#include <string>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"

namespace vhostx::protocol {

/// E.g. "SET_VRING_NUM vring 0 num 256", "GET_FEATURES reply 0x140000000 (...)"; any message, checked or not.
std::string describe(Incoming incoming, const Message& message);

}  // namespace vhostx::protocol
