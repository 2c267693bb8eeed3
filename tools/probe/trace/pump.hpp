// SPDX-License-Identifier: BSD-3-Clause
// Pump: one direction of one connection. Every byte and every descriptor goes on as it came, with the byte that it came
// with; what went by is told as messages. It holds one header and one piece of payload at most: while the destination
// takes nothing, nothing is read.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/probe/session/event.hpp"

namespace vhostx::tools::probe {

struct PumpHooks {
  /// A header has come whole, and its descriptors are about to go on: they may be exchanged for others.
  std::function<void(const protocol::Header&, std::vector<UniqueFd>&)> before_forward;
  /// A message has gone by whole, or was cut off. `files` are duplicates of its descriptors, in order.
  std::function<void(Event&&, std::vector<UniqueFd>&& files)> on_message;
  /// Something that is no message: e.g. descriptors that could not be taken.
  std::function<void(std::string)> on_note;
};

/// One thread. The sockets stay the caller's, and outlive the Pump.
class Pump {
 public:
  Pump(protocol::Incoming way, int source, int destination, PumpHooks hooks);

  int source() const noexcept { return source_; }
  int destination() const noexcept { return destination_; }
  bool wants_to_read() const noexcept { return output_.empty() && !ended_; }
  bool wants_to_write() const noexcept { return !output_.empty(); }
  /// The source has ended or the destination is gone, and nothing waits to be passed on.
  bool finished() const noexcept { return ended_ && output_.empty(); }

  void read();
  void write();

 private:
  void take_header(std::size_t bytes);
  void take_payload(std::size_t bytes);
  void take_fds(const std::vector<UniqueFd>& fds);
  void end(const std::string& why);
  void message_is_whole();

  protocol::Incoming way_;
  int source_;
  int destination_;
  PumpHooks hooks_;
  bool ended_ = false;
  std::array<std::byte, protocol::message_header_bytes> header_;
  std::size_t header_have_ = 0;
  std::uint64_t payload_left_ = 0;
  Event event_;
  std::vector<UniqueFd> files_;       ///< Duplicates for on_message.
  std::vector<UniqueFd> output_fds_;  ///< Go with the first byte of output_.
  std::vector<std::byte> output_;
};

}  // namespace vhostx::tools::probe
