// SPDX-License-Identifier: BSD-3-Clause
// Link: a connection for one check. It can send what no front-end should, and reads replies as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/check/subject.hpp"

namespace vhostx::tools::probe {

/// A reply that no table was asked about.
struct RawReply {
  protocol::Header header;
  std::vector<std::byte> payload;
  protocol::FdList fds;

  /// The payload's first eight bytes; a shorter one is filled with zeros.
  std::uint64_t number() const noexcept;
};

/// What became of a request.
enum class Fate { accepted, refused, ignored, disconnected };

class Link : public FrontEnd {
 public:
  /// Connects and has GET_FEATURES answered; tries again until the timeout, as the end of an earlier connection may not
  /// have been seen yet. Throws BackEndGone.
  static Link open(const Subject& subject);

  // ---- each throws Decided (failed) where the back-end does not play its part
  void put(const protocol::Message& message);
  RawReply next_reply(std::string_view to);
  /// Sends, and takes the next reply, which must be one to this request: its number, version 1 and the reply flag.
  RawReply exchange(const protocol::Message& message);
  /// Sends with NEED_REPLY; the acknowledgement's value.
  std::uint64_t ack(protocol::Message message);
  /// Sends with NEED_REPLY where that was negotiated; it must be accepted.
  void change(protocol::Message message);
  /// What the back-end was sent it has read: GET_FEATURES is answered, and nothing else before.
  void sync(std::string_view after);
  /// Negotiates these features, so that requests may follow; those that are not offered end the check.
  void negotiate_protocol(protocol::ProtocolFeatureSet wanted);

  // ---- for requests that are wrong
  /// Sends the message, with NEED_REPLY where REPLY_ACK was negotiated, and a GET_FEATURES behind.
  Fate outcome_of(protocol::Message message);
  /// Sends bytes as they are. False: the back-end has closed its end.
  bool put_bytes(std::span<const std::byte> bytes, const protocol::FdList& fds = {});
  /// Waits until the back-end has read all that was sent, for quiet_time at most: some look before they read.
  void wait_until_read();

 private:
  explicit Link(FrontEnd front_end) : FrontEnd(std::move(front_end)) {}
  /// Null: the connection ended.
  Result<RawReply> read_raw();

  bool reply_ack_ = false;
};

/// The message, asking for a reply.
protocol::Message asking(protocol::Message message);
std::string name_of(std::uint32_t request);

}  // namespace vhostx::tools::probe
