// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>

#include "tools/common/values.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/trace/observe.hpp"
#include "tools/probe/trace/trace_options.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* trace_help =
    "Shows what a front-end and a back-end send each other. Forwards every byte and descriptor unchanged";

constexpr const char* trace_footer = R"(
Examples:
  vhostx-probe trace --listen /tmp/seen.sock --connect /tmp/vm0.sock
      then QEMU: -chardev socket,id=c0,path=/tmp/seen.sock,reconnect-ms=1000
      (before QEMU 9.2: reconnect=1)
  vhostx-probe trace --listen /tmp/seen.sock --connect /tmp/vm0.sock --write vm0.jsonl
  vhostx-probe trace --listen /tmp/seen.sock --connect /tmp/vm0.sock --rings --count-notifications
  vhostx-probe trace --listen /tmp/seen.sock --connect /tmp/vm0.sock --filter '!SET_VRING_CALL,!GET_CONFIG'

The connections through it end when it ends. It goes on when its standard output is closed.)";

}  // namespace

void add_filter_options(CLI::App& command, TraceOutputOptions& options) {
  const auto set = [&options](const std::string& text) {
    auto filter = Filter::parse(text);
    if (!filter) throw WrongLine("--filter: " + filter.error().message);
    options.filter = *std::move(filter);
  };
  command
      .add_option_function<std::string>(
          "--filter", set,
          "Messages to show: names with * and ?, vring=N, findings. '!' excludes. Violations are always shown")
      ->type_name("TERM[,TERM...]");
  command.add_flag("--json", options.json, "Prints JSON lines instead of text, in the format of --write");
}

void add_show_options(CLI::App& command, ShowOptions& options) {
  add_filter_options(command, options.output);
  command.add_option("--write", options.output.record, "Records all messages in FILE, for `show` and `report`")
      ->type_name("FILE");
  command.add_flag("--rings", options.rings, "Shows live rings once a second, as `vhostx-probe rings` does");
  command.add_flag("--quiet", options.output.quiet, "Prints nothing; use it with --write");
  command.add_flag("--no-tables{false}", options.output.tables,
                   "Omits the tables of features, memory and rings that follow when nothing was sent for 0.3 s");
}

CLI::App* add_trace_command(CLI::App& app, TraceOptions& options) {
  CLI::App* const trace = app.add_subcommand("trace", trace_help);
  trace->footer(trace_footer);
  trace->add_option("--listen", options.listen, "Socket to create, on which front-ends connect")
      ->required()
      ->type_name("SOCK");
  trace->add_option("--connect", options.connect, "The back-end's socket")->required()->type_name("SOCK");
  trace->add_flag(
      "--reverse", options.reverse,
      "For back-ends that connect: the back-end connects to --listen, and --connect is the front-end's socket");
  trace->add_flag("--once", options.once, "End after the first connection");
  trace->add_flag("--count-notifications", options.count_notifications,
                  "Counts kicks and calls. Replaces their eventfds, so each notification passes through the probe");
  add_show_options(*trace, options.show);
  return trace;
}

int run_trace(const TraceOptions& options) {
  RelayLoopOptions loop;
  loop.listen = options.listen;
  loop.reverse = options.reverse;
  loop.once = options.once;
  loop.count_notifications = options.count_notifications;
  loop.connect = [&options]() -> Result<UniqueFd> {
    auto connected = FrontEnd::connect_in_turn(options.connect);
    if (!connected) return connected.error();
    return duplicate(connected->fd());
  };
  return observe(loop, options.show, options.connect);
}

}  // namespace vhostx::tools::probe
