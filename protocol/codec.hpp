// SPDX-License-Identifier: BSD-3-Clause
// Converts messages from and to bytes, for both roles. Pure functions: no socket, no clock, no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "protocol/message.hpp"
#include "protocol/request_table.hpp"

namespace vhostx::protocol {

/// The kind of messages that arrive at one end of one socket.
enum class Incoming : std::uint8_t {
  front_end_requests,    ///< The back-end reads the main socket.
  replies_to_front_end,  ///< The front-end reads the main socket.
  back_end_requests,     ///< The front-end reads the socket of SET_BACKEND_REQ_FD.
  replies_to_back_end,   ///< The back-end reads the socket of SET_BACKEND_REQ_FD.
};

constexpr bool is_reply(Incoming incoming) noexcept {
  return incoming == Incoming::replies_to_front_end || incoming == Incoming::replies_to_back_end;
}
/// Whether the requests are the back-end's, or the replies to those.
constexpr bool is_of_back_end(Incoming incoming) noexcept {
  return incoming == Incoming::back_end_requests || incoming == Incoming::replies_to_back_end;
}
/// Null for a request that the table does not have.
const RequestRow* find_row(Incoming incoming, std::uint32_t id) noexcept;
/// "SET_MEM_TABLE", or "request 77" for one without a row.
std::string request_name(Incoming incoming, std::uint32_t id);

Header decode_header(std::span<const std::byte, message_header_bytes> bytes) noexcept;
std::array<std::byte, message_header_bytes> encode_header(const Header& header) noexcept;

/// Checks what can be checked before the payload is read: version, reply flag, and the size against the row's lengths.
/// A request without a row passes with up to payload_bytes_max, so that the session can refuse it with an
/// acknowledgement. A reply without a row passes as that acknowledgement. Answers the row, or null.
Result<const RequestRow*> check_header(Incoming incoming, const Header& header);
/// Checks the rest, after check_header(): descriptors against the row and the payload, counts and sizes inside the
/// payload against its length.
Result<void> check_message(Incoming incoming, const Message& message);

/// The vring that the message names; none if its payload has no index. Call after check_message().
std::optional<std::uint32_t> vring_index(Incoming incoming, const Message& message);

/// Header and payload as they go over the socket.
std::vector<std::byte> encode(const Message& message);

/// A request without payload; `need_reply` asks for an acknowledgement.
Message make_request(FrontEndRequest request, bool need_reply = false);
Message make_request(BackEndRequest request, bool need_reply = false);
/// A message with this payload, at most payload_bytes_max (asserted).
Message make_message(Header header, std::span<const std::byte> payload);

template <typename Request, Payload T>
Message make_request(Request request, const T& payload, bool need_reply = false) {
  return make_message(make_request(request, need_reply).header(), std::as_bytes(std::span(&payload, 1)));
}

/// A reply to `request`: its number, the reply flag, this payload.
Message make_reply(const Header& request, std::span<const std::byte> payload);
template <Payload T>
Message make_reply(const Header& request, const T& payload) {
  return make_reply(request, std::as_bytes(std::span(&payload, 1)));
}
/// vhost-user "VHOST_USER_PROTOCOL_F_REPLY_ACK": 0 for success.
inline Message make_ack(const Header& request, std::uint64_t status) { return make_reply(request, U64{status}); }

/// SET_MEM_TABLE, whose payload is as long as its regions need.
Message make_memory_table(std::span<const MemoryRegion> regions, bool need_reply = false);

}  // namespace vhostx::protocol
