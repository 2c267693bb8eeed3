// SPDX-License-Identifier: BSD-3-Clause
// A keeper's end of a client's connection: what was received, and answers that the client has not taken yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/releases.hpp"
#include "base/unique_fd.hpp"
#include "continuity/bundles.hpp"
#include "continuity/keeper_protocol.hpp"
#include "continuity/packet_socket.hpp"

namespace vhostx::continuity {

class KeeperConnection {
 public:
  /// `releases` closes what the client sends, and `socket`.
  KeeperConnection(Bundles::Client who, UniqueFd socket, std::shared_ptr<Releases> releases)
      : who_(who), releases_(std::move(releases)), socket_(std::move(socket)) {}

  const Bundles::Client& who() const noexcept { return who_; }
  int fd() const noexcept { return socket_.get(); }
  /// Set once HELLO was good.
  bool greeted = false;
  /// What the epoll set watches it for.
  std::uint32_t watched = 0;

  Arrival receive(std::span<std::byte> into, std::vector<UniqueFd>& fds) {
    return receive_packet(socket_.get(), into, fds, releases_.get());
  }
  /// Whether the other end is closed; what it sent may not have been received yet.
  bool is_leaving() const noexcept;

  /// Sends it, or queues it behind what waits. Forgotten where the client takes nothing any more.
  void send(const Tagged<Reply>& reply, std::vector<SharedFd> fds);
  /// Answers LIST as the client takes the answers: they are not queued before.
  void begin_list(std::uint32_t tag) { list_ = List{tag, {}, 0}; }
  /// The client takes no answers any more. What it sent is still to be received.
  void stop_sending() noexcept;
  /// Sends what waits, and what LIST asked for, as far as there is room.
  void flush(const Bundles& bundles, Bundles::Time now);
  /// Then no more is to be received from it.
  bool owes_answers() const noexcept { return !queue_.empty() || list_; }

 private:
  struct Outgoing {
    std::vector<std::byte> bytes;
    std::vector<SharedFd> fds;
  };
  struct List {
    std::uint32_t tag = 0;
    std::string last;
    std::uint32_t bundles = 0;
  };

  void flush_queue();
  int send_first() const noexcept;
  void queue_next_of_list(const Bundles& bundles, Bundles::Time now);

  Bundles::Client who_;
  std::shared_ptr<Releases> releases_;
  UniqueFd socket_;
  std::deque<Outgoing> queue_;
  std::optional<List> list_;
  bool sends_ = true;
};

}  // namespace vhostx::continuity
