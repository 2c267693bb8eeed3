// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <fstream>
#include <iostream>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/probe/exit_code.hpp"
#include "tools/probe/show/show_options.hpp"
#include "tools/probe/trace/trace_options.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* show_help = "Prints a record of `trace --write` or `listen --write` as text";

constexpr const char* show_footer = R"(
Examples:
  vhostx-probe show vm0.jsonl
  vhostx-probe show vm0.jsonl --filter findings
  vhostx-probe trace ... --json | vhostx-probe show -
  vhostx-probe show vm0.jsonl --json | jq -r 'select(.round_trip_ns > 1000000) | .name')";

/// Prints events one by one.
class Show {
 public:
  explicit Show(const TraceOutputOptions& options) : options_(options), style_(style_of_output()) {}

  void take(const Event& event) {
    const Decoded decoded = sessions_.take(event);
    if (options_.filter && !options_.filter->shows(event, decoded)) return;
    show(options_.json ? line_of(event, &decoded) : text_of(event, decoded, style_));
  }

  void print_states() {
    if (options_.json || !options_.tables) return;
    for (const auto& [connection, session] : sessions_.all()) {
      const std::string state = text_of(session.state(), {}, style_);
      if (!state.empty()) show(fmt::format("\nconnection {}, at the end\n{}", connection, state));
    }
  }

  /// Standard output has taken all of it.
  bool shown() const noexcept { return shown_; }

 private:
  void show(const std::string& text) { shown_ = shown_ && print(text) == static_cast<int>(ExitCode::good); }

  const TraceOutputOptions& options_;
  TextStyle style_;
  Sessions sessions_;
  bool shown_ = true;
};

}  // namespace

CLI::App* add_show_command(CLI::App& app, RecordShowOptions& options) {
  CLI::App* const show = app.add_subcommand("show", show_help);
  show->footer(show_footer);
  show->add_option("FILE", options.record, "The record; - reads standard input")->required();
  add_filter_options(*show, options.output);
  show->add_flag("--no-tables{false}", options.output.tables,
                 "Omits the tables of features, memory and rings at the end");
  return show;
}

int run_show(const RecordShowOptions& options) {
  std::ifstream file;
  const bool standard_input = options.record == "-";
  if (!standard_input) {
    file.open(options.record);
    if (!file) return fail(options.record, std::generic_category().message(errno));
  }
  Show show(options.output);
  const auto record = read_record(standard_input ? std::cin : file, [&show](Event&& event) { show.take(event); });
  show.print_states();
  if (!record) return fail(options.record, record.error().message);
  if (record->cut) fail(options.record, "the last line is incomplete and was omitted");
  return static_cast<int>(show.shown() ? ExitCode::good : ExitCode::failed);
}

}  // namespace vhostx::tools::probe
