// SPDX-License-Identifier: BSD-3-Clause
// Channel: one connected vhost-user socket on an Asio executor. It reads whole messages with their descriptors, checks
// them, hands them on one at a time, and writes answers; it never blocks, and a peer can make it hold only a bounded
// number of bytes, descriptors and, for a message that has begun, seconds.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "protocol/message.hpp"

namespace vhostx::protocol {

struct ChannelOptions {
  std::chrono::milliseconds message_timeout{5000};  ///< For a message that has begun; an idle peer has no limit.
  unsigned messages_per_turn = 16;                  ///< Then others on the same executor have their turn; at least 1.
  std::size_t output_bytes_max = 64 * 1024;         ///< Waiting to be written.
};

/// Called on the executor, one at a time, never from inside a call into the Channel. Either may destroy the Channel.
/// The next message is handed on after on_message has returned.
struct ChannelHandlers {
  std::function<void(Message&&)> on_message;
  /// Once at most: the peer left, broke the protocol or was too slow, or the socket failed. The socket is closed by
  /// then. Not called after close() or after the destructor.
  std::function<void(Error)> on_closed;
};

/// All calls on the executor's thread (one thread runs it, or a strand).
class Channel {
 public:
  /// Takes a connected AF_UNIX stream socket and starts to read. What goes wrong here arrives in on_closed. What comes
  /// through the socket is released where the socket is (UniqueFd::releases()), and that is not in these calls.
  Channel(asio::any_io_executor executor, UniqueFd socket, Incoming incoming, ChannelHandlers handlers,
          ChannelOptions options = {});
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Writes the message and its descriptors, now or as soon as the peer reads. While output waits, nothing is read from
  /// this peer. Error: `closed`, or `limit` when more than output_bytes_max would wait (the message is dropped, the
  /// channel stays). A peer that is found dead here is reported by on_closed, later.
  Result<void> send(Message message);

  /// From on_message: the next message is not read until resume(). What the peer does meanwhile is seen then.
  void pause() noexcept;
  void resume();

  /// Ends the connection, which the peer sees at once, and drops what waits; no handler is called any more. May be
  /// called twice.
  void close() noexcept;
  bool is_open() const noexcept;

  /// Whether the peer has closed its end, even while messages of its are still unread: a new connection may arrive
  /// before the end of the old one is seen. True for a closed channel.
  bool peer_is_gone() const noexcept;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx::protocol
