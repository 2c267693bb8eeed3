// SPDX-License-Identifier: BSD-3-Clause
// Channel: one connected vhost-user socket on an Asio executor. It reads whole messages with their descriptors, checks
// them, passes them on one at a time, and writes answers. It never blocks. The bytes and descriptors that a peer can
// make it hold are bounded, and so is the time for a message that has begun.
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
  std::chrono::milliseconds message_timeout{5000};        ///< For a message that has begun; an idle peer has no limit.
  unsigned messages_per_turn = 16;                        ///< Then others on the same executor get a turn; at least 1.
  std::size_t output_bytes_max = std::size_t{64} * 1024;  ///< Waiting to be written.
};

/// Called on the executor, one at a time, never from inside a call into the Channel. Either may destroy the Channel.
/// The next message is passed on after on_message has returned.
struct ChannelHandlers {
  std::function<void(Message&&)> on_message;
  /// Called at most once: the peer left, broke the protocol or was too slow, or the socket failed. The socket is closed
  /// by then. Not called after close() or the destructor.
  std::function<void(Error)> on_closed;
  /// May be empty. true: right before the first byte of a message is read. false: its last answer is written (also from
  /// inside send()), or on_message has returned without one and without pause(). Repeated calls mean nothing. The
  /// Channel must not be destroyed or called from it.
  std::function<void(bool)> on_busy;
};

/// All calls on the executor's thread (one thread runs it, or a strand).
class Channel {
 public:
  /// Takes a connected AF_UNIX stream socket and starts to read. Errors here are reported by on_closed. Descriptors
  /// that come through the socket are released where the socket is (UniqueFd::releases()), and not in these calls.
  Channel(asio::any_io_executor executor, UniqueFd socket, Incoming incoming, ChannelHandlers handlers,
          ChannelOptions options = {});
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Writes the message and its descriptors, now or as soon as the peer reads. While output waits, nothing is read from
  /// this peer. Error: `closed`, or `limit` when more than output_bytes_max would wait (the message is dropped, the
  /// channel stays). If the peer turns out to be dead, on_closed reports it later.
  Result<void> send(Message message);

  /// From on_message: no message is read until resume(). What the peer does meanwhile is noticed then.
  void pause() noexcept;
  void resume();

  /// Ends the connection, which the peer sees at once, and drops waiting output. No handler is called any more. May be
  /// called twice.
  void close() noexcept;
  /// The same, but the peer sees nothing, if somebody else holds the socket too and goes on with it. Between two
  /// messages.
  void leave() noexcept;
  bool is_open() const noexcept;

  /// Whether the peer has closed its end, even if some of its messages are still unread. For a new connection that
  /// arrives before the end of the old one was noticed. True for a closed channel.
  bool peer_is_gone() const noexcept;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace vhostx::protocol
