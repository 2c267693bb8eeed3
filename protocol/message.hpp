// SPDX-License-Identifier: BSD-3-Clause
// Message: one vhost-user message with its payload and the descriptors that came with it. It owns both and allocates
// nothing. The payload ends at the header's size, so that no byte of an earlier message can be read.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include <vhostx/result.hpp>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/fd_list.hpp"
#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"

namespace vhostx::protocol {

struct RequestRow;

/// "Header".
struct Header {
  std::uint32_t request = 0;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;  ///< Bytes of payload.

  static constexpr std::uint32_t version_mask = 0x3;
  static constexpr std::uint32_t version_1 = 0x1;
  static constexpr std::uint32_t reply = 1u << 2;
  static constexpr std::uint32_t need_reply = 1u << 3;

  constexpr bool is_reply() const noexcept { return (flags & reply) != 0; }
  constexpr bool needs_reply() const noexcept { return (flags & need_reply) != 0; }
  friend constexpr bool operator==(const Header&, const Header&) noexcept = default;
};
static_assert(sizeof(Header) == 12);

inline constexpr std::size_t message_header_bytes = sizeof(Header);
/// Bound for the payload of any message, known or not.
inline constexpr std::size_t payload_bytes_max = 4096 + 12;

class Message {
 public:
  Message() noexcept = default;
  /// `header.size` at most payload_bytes_max (asserted). The payload's bytes are zero.
  explicit Message(const Header& header, const RequestRow* row = nullptr) noexcept;
  Message(Message&& other) noexcept;
  Message& operator=(Message&& other) noexcept;

  const Header& header() const noexcept { return header_; }
  /// What the table says of a message that was read: check_header() found it. Null: not in the table, or not read.
  const RequestRow* row() const noexcept { return row_; }
  std::uint32_t request() const noexcept { return header_.request; }
  FrontEndRequest front_end_request() const noexcept { return static_cast<FrontEndRequest>(header_.request); }
  BackEndRequest back_end_request() const noexcept { return static_cast<BackEndRequest>(header_.request); }
  bool needs_reply() const noexcept { return header_.needs_reply(); }

  std::span<const std::byte> payload() const noexcept { return {payload_.data(), header_.size}; }
  std::span<std::byte> payload() noexcept { return {payload_.data(), header_.size}; }

  /// The payload as T, which must have the payload's length.
  template <Payload T>
  Result<T> payload_as() const {
    if (header_.size != sizeof(T)) return size_error(sizeof(T));
    T value;
    std::memcpy(&value, payload_.data(), sizeof(T));
    return value;
  }
  /// The first bytes of the payload as T; if the payload is shorter, the rest of T is zero. For payloads that peers
  /// send in two lengths (Inflight, IotlbMessage) or with a variable tail (MemoryTablePayload, Config). Call their
  /// checks in codec.hpp first.
  template <Payload T>
  T payload_padded_as() const noexcept {
    T value{};
    std::memcpy(&value, payload_.data(), header_.size < sizeof(T) ? header_.size : sizeof(T));
    return value;
  }

  std::size_t fd_count() const noexcept { return fds_.size(); }
  /// The descriptor at `index` (below fd_count(), asserted); the Message keeps it.
  int fd(std::size_t index) const noexcept { return fds_.get(index); }
  /// The descriptor at `index`, which the caller then owns; empty if there is none or it was taken.
  UniqueFd take_fd(std::size_t index = 0) noexcept { return fds_.take(index); }
  /// False: there are fds_max already, and `fd` was closed.
  bool add_fd(UniqueFd fd) noexcept { return fds_.add(std::move(fd)); }
  /// Replaces all descriptors.
  void set_fds(FdList fds) noexcept { fds_ = std::move(fds); }
  const FdList& fds() const noexcept { return fds_; }
  FdList take_fds() noexcept { return std::move(fds_); }

 private:
  Error size_error(std::size_t expected) const;

  Header header_;
  const RequestRow* row_ = nullptr;
  FdList fds_;
  std::array<std::byte, payload_bytes_max> payload_;  // only the first header_.size bytes are initialised
};

}  // namespace vhostx::protocol
