// SPDX-License-Identifier: BSD-3-Clause
// Moving a Message moves its descriptors and copies only the bytes of its payload.
#include "protocol/message.hpp"

namespace vhostx::protocol {

Message::Message(const Header& header, const RequestRow* row) noexcept : header_(header), row_(row) {
  assert(header.size <= payload_bytes_max);
  std::memset(payload_.data(), 0, header_.size);
}

Message::Message(Message&& other) noexcept { *this = std::move(other); }

Message& Message::operator=(Message&& other) noexcept {
  if (this == &other) return *this;
  header_ = std::exchange(other.header_, Header{});
  row_ = other.row_;
  fds_ = std::move(other.fds_);
  std::memcpy(payload_.data(), other.payload_.data(), header_.size);
  return *this;
}

Error Message::size_error(std::size_t expected) const {
  return protocol_violation("payload of request {} has {} bytes, expected {}", header_.request, header_.size, expected);
}

}  // namespace vhostx::protocol
