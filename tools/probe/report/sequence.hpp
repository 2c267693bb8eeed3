// SPDX-License-Identifier: BSD-3-Clause
// The sequence chart of a connection: a row for each message, between the lifelines of front-end and back-end. Pure.
#pragma once

#include <chrono>
#include <string>

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/report_data.hpp"

namespace vhostx::tools::probe {

/// The chart is cut into parts of about so many rows, which open and close.
inline constexpr std::size_t rows_of_part = 200;
/// From this on a pause is a row of its own.
inline constexpr std::chrono::milliseconds pause_min{100};

/// "c2-m17": where the page has message 17 of connection 2.
std::string anchor_of(std::uint32_t connection, std::uint64_t number);

/// The id that shows this message: its own row's, that of the run it is folded into, or of the row that counts those
/// left out. Empty: there is none.
std::string anchor_in(const ConnectionData& connection, std::uint64_t number);

/// "12.3 ms": three figures.
std::string text_of_time(std::chrono::nanoseconds time);
/// "1.204853": seconds.
std::string text_of_moment(std::chrono::nanoseconds time);

Html sequence_chart(const ConnectionData& connection);

}  // namespace vhostx::tools::probe
