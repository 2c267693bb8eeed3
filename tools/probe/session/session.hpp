// SPDX-License-Identifier: BSD-3-Clause
// Session: what can be concluded from the events of one connection: what each message says, which request a reply
// answers and after what time, what was negotiated, where memory and rings are, and what breaks the specification.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/features.hpp"
#include "protocol/payloads.hpp"
#include "tools/probe/session/event.hpp"

namespace vhostx::tools::probe {

struct Finding {
  enum class Weight : std::uint8_t {
    violation,  ///< The specification forbids it.
    remark,     ///< Allowed, and worth knowing.
  };
  Weight weight = Weight::violation;
  std::string text;     ///< One line: what was seen and what was expected.
  std::string section;  ///< Of the vhost-user specification, or "VIRTIO 1.2, 2.7".
};

/// An event, understood.
struct Decoded {
  std::uint64_t number = 0;              ///< Of the event within its connection, from 1.
  std::string name;                      ///< "SET_MEM_TABLE"; empty where it is no message.
  std::string text;                      ///< One line without time and findings.
  std::optional<std::uint64_t> answers;  ///< Of a reply: the number of its request.
  std::optional<std::chrono::nanoseconds> round_trip;
  std::vector<Finding> findings;
};

struct RegionView {
  protocol::MemoryRegion region;
  FdFacts file;
  std::uint64_t event = 0;  ///< Number of the message that brought it, and
  std::size_t fd = 0;       ///< ... which of its descriptors.
};

/// A ring, as far as messages tell.
struct RingView {
  std::optional<std::uint32_t> size;
  std::optional<protocol::VringAddress> addresses;
  std::optional<std::uint32_t> base;  ///< SET_VRING_BASE, or what GET_VRING_BASE answered.
  bool kick = false;                  ///< Has a descriptor; without one the back-end polls.
  bool kick_given = false;            ///< SET_VRING_KICK came, with a descriptor or without.
  bool call = false;
  bool err = false;
  bool enabled = false;
  bool stopped = true;  ///< No SET_VRING_KICK yet, or GET_VRING_BASE came since. A ring that is not runs: by the text
                        ///< of 2026 at once, by the older one from its first kick on.
};

/// SET_LOG_BASE.
struct LogView {
  protocol::LogBase where;
  FdFacts file;
  std::uint64_t event = 0;  ///< Number of the message that brought it, with its one descriptor.
};

/// The last SET_DEVICE_STATE_FD, and what became of it.
struct DeviceStateView {
  protocol::DeviceState what;
  std::optional<std::uint64_t> error;   ///< Of the reply; 0: the transfer may begin.
  std::optional<std::uint64_t> result;  ///< CHECK_DEVICE_STATE; 0: it worked.
};

/// What was agreed on.
struct SessionState {
  std::optional<protocol::FeatureSet> features_offered;
  std::optional<protocol::FeatureSet> features;
  std::optional<protocol::ProtocolFeatureSet> protocol_features_offered;
  std::optional<protocol::ProtocolFeatureSet> protocol_features;
  std::optional<std::uint64_t> queue_pairs;   ///< GET_QUEUE_NUM
  std::optional<std::uint64_t> memory_slots;  ///< GET_MAX_MEM_SLOTS
  std::optional<std::uint64_t> status;        ///< The last of SET_STATUS and GET_STATUS.
  bool owner = false;
  bool back_end_channel = false;
  Peer front_end;
  Peer back_end;
  std::vector<RegionView> regions;
  std::map<std::uint32_t, RingView> rings;
  std::optional<LogView> log;  ///< The last one; whether it is written VHOST_F_LOG_ALL says.
  bool log_signal = false;     ///< SET_LOG_FD
  std::optional<DeviceStateView> device_state;
};

/// One connection. Not for several threads. Hostile input costs bounded time and memory: rings_max rings, regions_max
/// regions, requests_max requests that wait for an answer.
class Session {
 public:
  static constexpr std::size_t rings_max = 256;
  static constexpr std::size_t regions_max = 1024;
  static constexpr std::size_t requests_max = 256;

  /// The next event of this connection.
  Decoded take(const Event& event);
  const SessionState& state() const noexcept { return state_; }
  std::uint64_t events() const noexcept { return events_; }

 private:
  struct Waiting {
    std::uint64_t number;  ///< Of the event.
    std::chrono::nanoseconds time;
    protocol::Header header;
    std::vector<std::byte> payload;
    bool asked;  ///< Else an answer may come, and need not.
  };

  void take_message(const Event& event, Decoded& decoded);
  void take_request_of(const Event& event, const protocol::Message& request, bool sound, Decoded& decoded);
  void expect_reply(const Event& event, std::uint64_t number, bool asked);
  void pair_reply(const Event& event, const protocol::Message& reply, bool sound, Decoded& decoded);
  void find_unanswered(std::vector<Finding>& findings);

  SessionState state_;
  std::array<std::deque<Waiting>, 2> waiting_;  ///< Requests of the front-end, and of the back-end.
  std::uint64_t events_ = 0;
};

/// All connections of a record, each with its Session.
class Sessions {
 public:
  Decoded take(const Event& event) { return by_connection_[event.connection].take(event); }
  void forget(std::uint32_t connection) { by_connection_.erase(connection); }
  const std::map<std::uint32_t, Session>& all() const noexcept { return by_connection_; }
  /// Null: there was none.
  const Session* find(std::uint32_t connection) const noexcept {
    const auto at = by_connection_.find(connection);
    return at == by_connection_.end() ? nullptr : &at->second;
  }

 private:
  std::map<std::uint32_t, Session> by_connection_;
};

/// GPA_ADDRESSES: ring areas have guest addresses instead of the front-end's, and what a region's front-end address
/// says counts for nothing.
bool has_guest_addresses(const SessionState& state) noexcept;

/// VHOST_F_LOG_ALL: what the back-end writes is marked in the log.
bool is_logging(const SessionState& state) noexcept;
/// VHOST_VRING_F_LOG: the used ring's pages too.
bool is_logged(const RingView& ring) noexcept;
/// Bytes of guest memory, from address 0 on, that the log has a bit for.
std::uint64_t covered_bytes(const LogView& log) noexcept;
/// "on, 256 KiB at offset 0x0 of memfd vhost-log, 256 KiB: guest memory up to 8 GiB"
std::string text_of_log(const SessionState& state);
/// "save", "load"
std::string verb_of(const protocol::DeviceState& what);
/// "save phase stopped, success"
std::string text_of(const DeviceStateView& view);

/// The region of `regions` that holds this front-end address (or guest address, see above). Of the bytes, some may lie
/// in one region that continues it, both in guest and in front-end addresses.
const RegionView* find_region(const SessionState& state, std::uint64_t address, std::uint64_t bytes) noexcept;

}  // namespace vhostx::tools::probe
