// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/observe.hpp"

#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "tools/common/signals.hpp"
#include "tools/probe/exit_code.hpp"

namespace vhostx::tools::probe {
namespace {

RecordHeader header_of(const RelayLoopOptions& options, const std::string& other) {
  RecordHeader header;
  header.begun = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  header.program = "vhostx-probe " VHOSTX_VERSION;
  header.front_end = options.reverse ? other : options.listen;
  header.back_end = options.reverse ? options.listen : other;
  return header;
}

}  // namespace

int observe(const RelayLoopOptions& options, const ShowOptions& show, const std::string& back_end) {
  const UniqueFd signals = catch_end_signals();
  const auto opened = TraceOutput::open(show.output, header_of(options, back_end));
  if (!opened) return fail(show.output.record, opened.error().message);
  TraceOutput& output = **opened;
  RelayLoopHandlers handlers;
  handlers.on_event = [&](Event&& event, std::vector<UniqueFd>&&) { output.take(event); };
  handlers.on_tick = [&](const std::list<Relay>&) { output.tick(std::chrono::steady_clock::now(), {}); };
  handlers.on_problem = [&](const std::string& problem) { output.problem(problem); };
  if (auto ran = run_relays(options, handlers, signals.get()); !ran) return fail(options.listen, ran.error().message);
  return static_cast<int>(output.record_is_whole() ? ExitCode::good : ExitCode::failed);
}

}  // namespace vhostx::tools::probe
