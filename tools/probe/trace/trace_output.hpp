// SPDX-License-Identifier: BSD-3-Clause
// TraceOutput: what is made of events: lines on standard output, a record, tables once a session has come to rest.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "tools/probe/session/event_text.hpp"
#include "tools/probe/session/filter.hpp"
#include "tools/probe/session/record.hpp"
#include "tools/probe/session/state_text.hpp"

namespace vhostx::tools::probe {

struct TraceOutputOptions {
  bool json = false;
  bool quiet = false;  ///< Nothing on standard output: for a record alone.
  bool tables = true;  ///< Features, memory map and rings, when they have changed and nothing came for `rest`.
  std::chrono::milliseconds rest{300};
  std::optional<Filter> filter;
  std::string record;  ///< Path; empty: none.
};

/// One thread.
class TraceOutput {
 public:
  /// Opens the record, replacing a file there, and writes its header. Error: it cannot be written.
  static Result<std::unique_ptr<TraceOutput>> open(TraceOutputOptions options, const RecordHeader& header);
  ~TraceOutput();

  void take(const Event& event);
  /// Tables that are due. `nodes` may be empty.
  void tick(std::chrono::steady_clock::time_point now, const NodesOf& nodes);
  /// The live rings, as text or as one JSON object on a line.
  void show_rings(const std::string& rings);
  /// "93 messages on 2 connections, 0 violations", as text alone.
  void summarise();
  void problem(const std::string& text);

  /// Null once it is closed.
  const Session* session(std::uint32_t connection) const noexcept { return sessions_.find(connection); }
  /// What the last event was taken for.
  const Decoded& last() const noexcept { return last_; }
  /// Whether everything that was seen is in the record.
  bool record_is_whole() const noexcept { return record_whole_; }

 private:
  explicit TraceOutput(TraceOutputOptions options);
  void write_record(const std::string& line);
  void print(const std::string& text);
  void count(const Event& event, const Decoded& decoded);

  TraceOutputOptions options_;
  TextStyle style_;
  Sessions sessions_;
  Decoded last_;
  std::set<std::uint32_t> changed_;  ///< Connections whose tables are due.
  std::chrono::steady_clock::time_point changed_at_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> record_{nullptr, &std::fclose};
  bool record_whole_ = true;
  bool output_works_ = true;
  std::uint64_t connections_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t violations_ = 0;
};

}  // namespace vhostx::tools::probe
