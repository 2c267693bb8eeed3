// SPDX-License-Identifier: BSD-3-Clause
// What a report is made of, gathered while a record is read once: steps that are folded into runs, states, findings. A
// record may be of any length, and hostile: all of it is bounded, and what was left out is counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tools/probe/session/record.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// An event as the chart shows it.
struct Step {
  EventKind kind = EventKind::message;
  protocol::Incoming way = protocol::Incoming::front_end_requests;
  std::uint32_t request = 0;
  std::chrono::nanoseconds time{};
  Decoded decoded;  ///< Its text without the name, and shortened.

  bool is_message() const noexcept { return kind == EventKind::message; }
  std::uint64_t number() const noexcept { return decoded.number; }
};

/// Steps after each other that are about the same: requests of one number on one socket, and their replies. One that is
/// no message is a run of its own.
struct Run {
  std::vector<Step> steps;     ///< The first ones, and those with findings.
  std::uint64_t messages = 0;  ///< All of them: those that are not in `steps` too.
  std::uint64_t requests = 0;
  std::uint64_t first = 0;  ///< Numbers.
  std::uint64_t last = 0;
  std::chrono::nanoseconds begin{};
  std::chrono::nanoseconds end{};
  std::uint64_t violations = 0;
  std::uint64_t remarks = 0;
  std::optional<std::chrono::nanoseconds> slowest;  ///< Round trip.

  /// Whether it is long enough to be shown as one line that opens.
  bool folded() const noexcept;
};

/// Findings that say the same.
struct FindingGroup {
  Finding finding;
  std::uint32_t connection = 0;
  std::string name;                    ///< Of the first one's message.
  std::vector<std::uint64_t> numbers;  ///< Of the first messages that have it.
  std::uint64_t count = 0;
};

/// How much there is to draw of a state; compares.
struct Fullness {
  std::size_t running = 0;  ///< Rings that are started and have a size and addresses.
  std::size_t enabled = 0;
  std::size_t regions = 0;

  friend auto operator<=>(const Fullness&, const Fullness&) = default;
};
Fullness fullness_of(const SessionState& state) noexcept;

struct ConnectionData {
  std::uint32_t id = 0;
  std::vector<Run> runs;
  std::uint64_t omitted = 0;  ///< Steps that came after `runs` and before `tail`, which no part has.
  std::deque<Step> tail;      ///< The last steps, where there were too many for `runs`.
  std::uint64_t events = 0;
  std::uint64_t messages = 0;
  std::uint64_t requests = 0;
  std::uint64_t back_end_messages = 0;  ///< On the socket of SET_BACKEND_REQ_FD.
  std::uint64_t descriptors = 0;
  std::uint64_t violations = 0;
  std::uint64_t remarks = 0;
  std::chrono::nanoseconds begin{};
  std::chrono::nanoseconds end{};
  std::optional<std::string> closed;  ///< How.
  SessionState final_state;
  SessionState peak;  ///< The last state in which there was most to draw.
  /// The number of the event after which it stood so.
  std::uint64_t peak_event = 0;
};

struct ReportData {
  RecordHeader header;
  std::string source;  ///< Where the record came from.
  std::vector<ConnectionData> connections;
  std::vector<FindingGroup> violations;
  std::vector<FindingGroup> remarks;
  std::uint64_t violation_count = 0;
  std::uint64_t remark_count = 0;
  std::uint64_t findings_omitted = 0;             ///< In no group.
  std::uint64_t events_of_other_connections = 0;  ///< Beyond connections_max: not looked into.
  std::optional<std::string> damage;              ///< Why reading ended before the end.
  bool cut = false;                               ///< The last line has no end.
};

/// Gathers. Give it every event in the order of the record, then take what it has.
class Collector {
 public:
  static constexpr std::size_t connections_max = 64;
  static constexpr std::size_t groups_max = 500;        ///< Of findings, of each weight.
  static constexpr std::size_t numbers_max = 20;        ///< Of messages with the same finding.
  static constexpr std::size_t text_bytes_max = 2000;   ///< Of a step.
  static constexpr std::size_t step_findings_max = 20;  ///< Of a step; more are counted.
  static constexpr std::size_t run_steps_max = 100;
  static constexpr std::size_t tail_max = 100;
  static constexpr std::size_t bytes_max = 4 * 1024 * 1024;  ///< Of all steps, about.
  static constexpr std::size_t peaks_max = 64;  ///< How often an equally full state takes the place of the one before.

  explicit Collector(std::string source) { data_.source = std::move(source); }

  void begin(const RecordHeader& header) { data_.header = header; }
  void take(const Event& event);
  ReportData finish();

 private:
  struct Open {
    std::size_t index;  ///< In data_.connections.
    Session session;
    Fullness fullest;
    std::size_t peaks = 0;
  };
  using GroupKey = std::tuple<std::uint32_t, std::string, std::string>;

  Open* find_or_open(std::uint32_t connection);
  void keep_peak(Open& open, const Event& event);
  void keep_step(ConnectionData& connection, Step step);
  void keep_findings(ConnectionData& connection, const Decoded& decoded);
  void keep_finding(std::uint32_t connection, const Decoded& decoded, const Finding& finding);

  ReportData data_;
  std::map<std::uint32_t, Open> open_;
  std::map<GroupKey, std::size_t> violation_groups_;
  std::map<GroupKey, std::size_t> remark_groups_;
  std::size_t bytes_ = 0;
};

}  // namespace vhostx::tools::probe
