// SPDX-License-Identifier: BSD-3-Clause
// Handlers of requests, in a table parallel to protocol/request_table.hpp. The session decides whether a request may
// come, and acknowledges or refuses it.
#pragma once

#include <cstdint>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/connection/device.hpp"
#include "backend/ring/ring_control.hpp"
#include "protocol/message.hpp"

namespace vhostx::backend {

/// The reply if the request has one of its own (ReplyKind::always), else nothing.
using Reply = std::optional<protocol::Message>;
struct Call {
  Device& device;
  protocol::Message& message;
  RingControl* ring;  ///< That the message names; null if its payload names none.
};
using Handler = Result<Reply> (*)(const Call& call);

/// Null for a request that a network back-end of this library does not serve.
Handler find_handler(std::uint32_t request) noexcept;

}  // namespace vhostx::backend
