// SPDX-License-Identifier: BSD-3-Clause
// Checks messages against their rows, and makes messages.
#include "protocol/codec.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "base/error.hpp"

namespace vhostx::protocol {
namespace {

template <typename... Args>
Error violation(Incoming incoming, std::uint32_t id, fmt::format_string<Args...> text, Args&&... args) {
  return protocol_violation("{}{}: {}", request_name(incoming, id), is_reply(incoming) ? " reply" : "",
                            fmt::format(text, std::forward<Args>(args)...));
}

std::string lengths(const PayloadShape& shape) {
  if (shape.min == shape.max) return fmt::format("{}", shape.min);
  if (shape.step == 1) return fmt::format("{} to {}", shape.min, shape.max);
  return fmt::format("{} to {} in steps of {}", shape.min, shape.max, shape.step);
}

std::string counts(const FdCount& fds) {
  return fds.min == fds.max ? fmt::format("{}", fds.min) : fmt::format("{} to {}", fds.min, fds.max);
}

const PayloadShape& shape_of(Incoming incoming, const RequestRow& row) noexcept {
  return is_reply(incoming) ? row.reply_payload : row.payload;
}

// The table says how many regions it has. With a count above what its bytes hold, a reader would take the bytes after
// them for regions.
Result<void> check_memory_table(Incoming incoming, const Message& message) {
  const Header& header = message.header();
  if (is_reply(incoming) && header.size == sizeof(U64)) return {};  // an acknowledgement
  const auto table = message.payload_padded_as<MemoryTableHeader>();
  if (table.count > memory_table_regions_max)
    return violation(incoming, header.request, "{} regions, expected at most {}", table.count,
                     memory_table_regions_max);
  const std::size_t expected = sizeof(MemoryTableHeader) + table.count * sizeof(MemoryRegion);
  if (header.size != expected)
    return violation(incoming, header.request, "{} bytes of payload for {} regions, expected {}", header.size,
                     table.count, expected);
  if (!is_reply(incoming) && message.fd_count() != table.count)
    return violation(incoming, header.request, "{} descriptors for {} regions, expected one a region",
                     message.fd_count(), table.count);
  return {};
}

// vhost-user "SET_VRING_KICK": bits 0 to 7 index, bit 8 "no descriptor", the others are reserved.
Result<void> check_vring_fd(Incoming incoming, const Message& message) {
  const auto value = message.payload_padded_as<U64>().value;
  if ((value & ~(vring_index_mask | vring_no_fd)) != 0)
    return violation(incoming, message.request(), "vring {:#x}, expected an index in bits 0 to 7 and a flag in bit 8",
                     value);
  const std::size_t expected = (value & vring_no_fd) != 0 ? 0 : 1;
  if (message.fd_count() != expected)
    return violation(incoming, message.request(), "{} descriptors, expected {} because bit 8 is {}", message.fd_count(),
                     expected, 1 - expected);
  return {};
}

Result<void> check_config(Incoming incoming, const Message& message) {
  const Header& header = message.header();
  if (header.size < sizeof(ConfigHeader)) {  // check_header() lets only replies be that short
    if (header.size == 0) return {};
    return violation(incoming, header.request, "{} bytes of payload, expected 0 or at least {}", header.size,
                     sizeof(ConfigHeader));
  }
  const std::size_t bytes = header.size - sizeof(ConfigHeader);
  const auto config = message.payload_padded_as<ConfigHeader>();
  // Some back-ends refuse by a size of 0 and still send the request's bytes back.
  if (config.size == bytes || (is_reply(incoming) && config.size == 0)) return {};
  return violation(incoming, header.request, "size field {} with {} bytes behind it, expected them to be equal",
                   config.size, bytes);
}

// The session refuses such a request. The reply to one can only be that refusal.
Result<const RequestRow*> check_unknown_header(Incoming incoming, const Header& header) {
  if (is_reply(incoming) ? header.size == sizeof(U64) : header.size <= payload_bytes_max) return nullptr;
  return violation(incoming, header.request, "{} bytes of payload, expected {} {}", header.size,
                   is_reply(incoming) ? "exactly" : "at most", is_reply(incoming) ? sizeof(U64) : payload_bytes_max);
}

const RequestRow* row_of(Incoming incoming, const Message& message) noexcept {
  return message.row() != nullptr ? message.row() : find_row(incoming, message.request());
}

}  // namespace

const RequestRow* find_row(Incoming incoming, std::uint32_t id) noexcept {
  return is_of_back_end(incoming) ? find_back_end_row(id) : find_front_end_row(id);
}

std::string request_name(Incoming incoming, std::uint32_t id) {
  const RequestRow* row = find_row(incoming, id);
  return row != nullptr ? std::string(row->name) : fmt::format("request {}", id);
}

Header decode_header(std::span<const std::byte, message_header_bytes> bytes) noexcept {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

std::array<std::byte, message_header_bytes> encode_header(const Header& header) noexcept {
  return std::bit_cast<std::array<std::byte, message_header_bytes>>(header);
}

Result<const RequestRow*> check_header(Incoming incoming, const Header& header) {
  if ((header.flags & Header::version_mask) != Header::version_1)
    return violation(incoming, header.request, "version {}, expected 1", header.flags & Header::version_mask);
  if (header.is_reply() != is_reply(incoming))
    return violation(incoming, header.request, "reply flag {}, expected {}", header.is_reply() ? 1 : 0,
                     is_reply(incoming) ? 1 : 0);
  const RequestRow* row = find_row(incoming, header.request);
  if (row == nullptr) return check_unknown_header(incoming, header);
  const PayloadShape& shape = shape_of(incoming, *row);
  if (shape.allows(header.size)) return row;
  return violation(incoming, header.request, "{} bytes of payload, expected {}", header.size, lengths(shape));
}

Result<void> check_message(Incoming incoming, const Message& message) {
  const RequestRow* row = row_of(incoming, message);
  if (row == nullptr) {
    if (!is_reply(incoming) || message.fd_count() == 0) return {};
    return violation(incoming, message.request(), "{} descriptors, expected 0", message.fd_count());
  }
  const FdCount& fds = is_reply(incoming) ? row->reply_fds : row->fds;
  if (!fds.allows(message.fd_count()))
    return violation(incoming, message.request(), "{} descriptors, expected {}", message.fd_count(), counts(fds));
  switch (shape_of(incoming, *row).kind) {
    case PayloadKind::memory_table:
      return check_memory_table(incoming, message);
    case PayloadKind::vring_fd:
    case PayloadKind::vring_area:
      return check_vring_fd(incoming, message);
    case PayloadKind::config:
      return check_config(incoming, message);
    default:
      return {};
  }
}

std::optional<std::uint32_t> vring_index(Incoming incoming, const Message& message) {
  const RequestRow* row = row_of(incoming, message);
  if (row == nullptr) return std::nullopt;
  switch (shape_of(incoming, *row).kind) {
    case PayloadKind::vring_fd:
    case PayloadKind::vring_area:
      return static_cast<std::uint32_t>(message.payload_padded_as<U64>().value & vring_index_mask);
    case PayloadKind::vring_state:
    case PayloadKind::vring_address:
      return message.payload_padded_as<VringState>().index;
    default:
      return std::nullopt;
  }
}

std::vector<std::byte> encode(const Message& message) {
  const auto header = encode_header(message.header());
  const auto payload = message.payload();
  std::vector<std::byte> bytes(message_header_bytes + payload.size());
  std::copy(header.begin(), header.end(), bytes.begin());
  std::copy(payload.begin(), payload.end(), bytes.begin() + message_header_bytes);
  return bytes;
}

Message make_request(FrontEndRequest request, bool need_reply) {
  return Message(
      Header{static_cast<std::uint32_t>(request), Header::version_1 | (need_reply ? Header::need_reply : 0), 0});
}

Message make_request(BackEndRequest request, bool need_reply) {
  return make_request(static_cast<FrontEndRequest>(request), need_reply);  // the header is the same for both
}

Message make_message(Header header, std::span<const std::byte> payload) {
  header.size = static_cast<std::uint32_t>(payload.size());
  Message message(header);
  std::copy(payload.begin(), payload.end(), message.payload().begin());
  return message;
}

Message make_reply(const Header& request, std::span<const std::byte> payload) {
  return make_message(Header{request.request, Header::version_1 | Header::reply, 0}, payload);
}

Message make_memory_table(std::span<const MemoryRegion> regions, bool need_reply) {
  assert(regions.size() <= memory_table_regions_max);
  MemoryTablePayload table;
  table.header.count = static_cast<std::uint32_t>(regions.size());
  std::copy(regions.begin(), regions.end(), table.regions.begin());
  const auto bytes = std::as_bytes(std::span(&table, 1));
  return make_message(make_request(FrontEndRequest::set_mem_table, need_reply).header(),
                      bytes.first(sizeof(MemoryTableHeader) + regions.size() * sizeof(MemoryRegion)));
}

}  // namespace vhostx::protocol
