// SPDX-License-Identifier: BSD-3-Clause
// Records: events as JSON lines (RFC 8259, one object a line). The first line says what the file is. README.md has the
// schema. What Session concluded is written beside what was seen, for other programs, and not read again.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <string>

#include <vhostx/result.hpp>

#include "tools/probe/session/event.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

struct RecordHeader {
  static constexpr const char* format = "vhostx-probe record";
  static constexpr int version = 1;

  std::string begun;      ///< Wall clock, RFC 3339, UTC.
  std::string program;    ///< "vhostx-probe 0.1.0"
  std::string front_end;  ///< The socket where front-ends are waited for.
  std::string back_end;   ///< The back-end's socket, or what stands in for one.
};

/// One line, with its end.
std::string line_of(const RecordHeader& header);
/// The same of an event; `decoded` adds what was concluded.
std::string line_of(const Event& event, const Decoded* decoded = nullptr);

/// Of one line that is not the first. Error: what is wrong with it; it never throws.
Result<Event> event_of(const std::string& line);
Result<RecordHeader> header_of(const std::string& line);

inline constexpr std::size_t record_line_bytes_max = 256 * 1024;  ///< Longer lines are no record of ours.

/// Reads a record, or what `trace --json` prints: the header, then each event to `take`. Error: "line 7: ...", after
/// all events before that line were given to `take`. A last line without its end is one that was being written when the
/// program was stopped: it is left out, and `cut` says so. `begin` is given the header before any event.
struct ReadRecord {
  RecordHeader header;
  std::size_t events = 0;
  bool cut = false;
};
Result<ReadRecord> read_record(std::istream& input, const std::function<void(Event&&)>& take,
                               const std::function<void(const RecordHeader&)>& begin = {});

}  // namespace vhostx::tools::probe
