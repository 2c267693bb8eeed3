// SPDX-License-Identifier: BSD-3-Clause
// FrontEnd: the front-end's side of a vhost-user connection: it connects or listens, sends requests with descriptors,
// and waits for replies. It blocks, with a deadline.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "protocol/message.hpp"

namespace vhostx::tools {

class FrontEnd {
 public:
  /// `socket` is connected.
  explicit FrontEnd(UniqueFd socket, std::chrono::milliseconds timeout = std::chrono::seconds(10)) noexcept
      : socket_(std::move(socket)), timeout_(timeout) {}

  /// Connects to a back-end that listens, trying again until the timeout while nobody does.
  static Result<FrontEnd> connect(const std::string& path,
                                  std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// The same, once: error where nobody listens now, or the listener's queue is full.
  static Result<FrontEnd> connect_once(const std::string& path,
                                       std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// The same where somebody listens: trying again until the timeout while the listener's queue is full.
  static Result<FrontEnd> connect_in_turn(const std::string& path,
                                          std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// Listens at `path` (replacing a file there) for a back-end in the client role.
  static Result<UniqueFd> listen(const std::string& path);
  static Result<FrontEnd> accept(const UniqueFd& listener,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(10));

  int fd() const noexcept { return socket_.get(); }
  /// As a front-end that dies.
  void disconnect() noexcept { socket_.reset(); }
  /// The back-end has closed its end. Nothing is read.
  bool peer_is_gone() const noexcept;

  // ---- any message
  Result<void> send(const protocol::Message& message);
  /// The next message on the main socket, which must be a reply as its row has it.
  Result<protocol::Message> receive_reply();
  /// Sends, and waits for the reply, which must be to this request.
  Result<protocol::Message> ask(const protocol::Message& request);
  /// Sends with NEED_REPLY and waits for the acknowledgement: its status, 0 for success.
  Result<std::uint64_t> acknowledged(protocol::Message request);

  // ---- the common ones
  Result<std::uint64_t> get_u64(protocol::FrontEndRequest request);
  Result<void> set_u64(protocol::FrontEndRequest request, std::uint64_t value);
  Result<void> set_vring(protocol::FrontEndRequest request, std::uint32_t index, std::uint32_t num);
  Result<void> set_vring_address(const protocol::VringAddress& address);
  /// SET_VRING_KICK, _CALL or _ERR with a duplicate of `fd`; fd < 0 sends the no-fd flag.
  Result<void> set_vring_fd(protocol::FrontEndRequest request, std::uint32_t index, int fd);
  /// GET_VRING_BASE: the ring stops; the next available index.
  Result<std::uint32_t> get_vring_base(std::uint32_t index);
  /// SET_MEM_TABLE with duplicates of `fds`, one a region.
  Result<void> set_mem_table(std::span<const protocol::MemoryRegion> regions, std::span<const int> fds);
  Result<void> add_mem_reg(const protocol::MemoryRegion& region, int fd);
  Result<void> rem_mem_reg(const protocol::MemoryRegion& region);

  /// Makes a socket pair, sends one end with SET_BACKEND_REQ_FD, and keeps the other for receive_backend_request().
  Result<void> open_backend_channel();
  int backend_fd() const noexcept { return backend_socket_.get(); }
  Result<protocol::Message> receive_backend_request();
  Result<void> reply_to_backend(const protocol::Message& reply);

  /// Features as a front-end negotiates them: GET_FEATURES, protocol features, SET_OWNER, SET_FEATURES with those of
  /// `wanted` (and VHOST_USER_F_PROTOCOL_FEATURES) and `wanted_protocol` that are offered.
  Result<void> negotiate(protocol::FeatureSet wanted, protocol::ProtocolFeatureSet wanted_protocol);
  protocol::FeatureSet features() const noexcept { return features_; }
  protocol::ProtocolFeatureSet protocol_features() const noexcept { return protocol_features_; }

 protected:
  Result<void> read_exactly(int socket, std::span<std::byte> into, protocol::FdList& fds);
  /// Bytes as they are; the first of them carries `fds`.
  Result<void> write_all(int socket, std::span<const std::byte> bytes, const protocol::FdList& fds);

 private:
  Result<protocol::Message> receive(int socket, protocol::Incoming incoming);
  /// Sends; asks for an acknowledgement where REPLY_ACK was negotiated, and fails when it is not 0.
  Result<void> change(protocol::Message request);

  UniqueFd socket_;
  UniqueFd backend_socket_;
  std::chrono::milliseconds timeout_;
  protocol::FeatureSet features_;
  protocol::ProtocolFeatureSet protocol_features_;
};

/// A duplicate of `fd`, close-on-exec.
UniqueFd duplicate(int fd);

}  // namespace vhostx::tools
