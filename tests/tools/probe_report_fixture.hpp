// SPDX-License-Identifier: BSD-3-Clause
// What all tests of the report want.
#pragma once

#include <string>
#include <vector>

#include "probe_recording.hpp"
#include "tools/probe/report/page.hpp"
#include "tools/probe/report/report_data.hpp"

namespace vhostx::test {

using namespace protocol;
using namespace tools::probe;

inline constexpr std::uint64_t mib = 1024 * 1024;
inline constexpr std::uint64_t gib = 1024 * mib;
inline constexpr std::uint64_t features = std::uint64_t{1} << 32 | std::uint64_t{1} << 30;
inline constexpr std::uint64_t reply_ack = 1 << 3;
inline constexpr std::uint64_t base = 0x7f0000000000;

inline ReportData gather(const Recording& recording) {
  Collector collector("test.jsonl");
  for (const Event& event : recording.events()) collector.take(event);
  return collector.finish();
}

inline std::string page_of(const Recording& recording) { return html_of(gather(recording)); }

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline std::vector<MemoryRegion> three_regions() {
  return {{4 * gib, 2 * gib, base + 3 * gib, 3 * gib}, {0, 640 * 1024, base, 0}, {mib, 3 * gib - mib, base + mib, mib}};
}

/// Two rings in three regions.
inline Recording whole_session() {
  Recording recording;
  recording.open().negotiate(features, reply_ack).memory(three_regions());
  return recording.ring(0, 256, base + 16 * mib).ring(1, 256, base + 4 * gib);
}

}  // namespace vhostx::test
