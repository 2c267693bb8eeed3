// SPDX-License-Identifier: BSD-3-Clause
// What each request changes: a table beside the rows of protocol/request_table.hpp. Whether a request may come, and
// how it is acknowledged or refused, is the session's.
#pragma once

#include <cstdint>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/device.hpp"
#include "protocol/message.hpp"

namespace vhostx::backend {

/// A reply where the request has one of its own (ReplyKind::always), else nothing.
using Reply = std::optional<protocol::Message>;
using Handler = Result<Reply> (*)(Device& device, protocol::Message& message);

/// Null for a request that a network back-end of this library does not serve.
Handler find_handler(std::uint32_t request) noexcept;

}  // namespace vhostx::backend
