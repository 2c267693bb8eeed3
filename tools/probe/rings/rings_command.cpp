// SPDX-License-Identifier: BSD-3-Clause
#include <limits>
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "tools/common/signals.hpp"
#include "tools/common/values.hpp"
#include "tools/probe/exit_code.hpp"
#include "tools/probe/option_types.hpp"
#include "tools/probe/rings/ring_source.hpp"
#include "tools/probe/rings/ring_table.hpp"
#include "tools/probe/rings/rings_options.hpp"
#include "tools/probe/session/event_text.hpp"

namespace vhostx::tools::probe {
namespace {

using Clock = std::chrono::steady_clock;

// Looks between refreshes: 16 bits count half round in that time at 16 million packets a second.
constexpr int look_interval_ms = 2;

constexpr const char* rings_help =
    "Shows live rings: positions of driver and device, buffers in flight, rates, and which rings are stuck";

constexpr const char* rings_footer = R"(
Guest memory is read, never written. Run it as root, or as the user of the process that is watched.
The first refresh comes after one interval. A ring counts as stuck after --stuck seconds without a used buffer.

Examples:
  vhostx-probe rings /tmp/vm0.sock                      # a port of a running back-end on vhostx
  vhostx-probe rings $(pgrep -x vhostx-switch)          # all ports of it
  vhostx-probe rings /tmp/trace.sock --json --count 10  # any back-end, through `vhostx-probe trace`
  vhostx-probe rings --qmp /run/vm0.qmp                 # a running QEMU, with nothing in between
  vhostx-probe rings --qmp /run/vm0.qmp --once --interval 3)";

Result<std::unique_ptr<RingSource>> open_source(const RingsOptions& options) {
  return options.qmp.empty() ? open_process(options.process) : open_qemu(options.qmp, options.pid);
}

// As top(1) does: over what stands there, each line to its end, then the rest of the screen.
std::string in_place(const std::string& text) {
  std::string screen = "\x1b[H";
  for (const char each : text)
    if (each == '\n')
      screen += "\x1b[K\n";
    else
      screen += each;
  return screen + "\x1b[J";
}

class Watcher {
 public:
  Watcher(const RingsOptions& options, RingSource& source)
      : options_(options), source_(source), watch_({options.stuck, options.stuck_receive}) {}

  int run() {
    if (auto asked = refresh(); !asked) return failed(asked.error());
    for (std::uint64_t shown = 0; options_.count == 0 || shown < options_.count; ++shown) {
      if (!watch_for_an_interval()) return 0;
      if (auto asked = refresh(); !asked) return failed(asked.error());
      if (const int code = show(shown == 0); code != 0) return code;
    }
    return 0;
  }

 private:
  Result<void> refresh() {
    return source_.refresh(watch_, [this] { look(); });
  }
  int failed(const Error& error) const {
    return fail(options_.qmp.empty() ? options_.process : options_.qmp, error.message);
  }

  void look() {
    watch_.look(now());
    watch_.look_closely([this] { return now(); });
  }
  /// False: the program is to end.
  bool watch_for_an_interval() {
    for (const auto end = Clock::now() + options_.interval; Clock::now() < end;) {
      look();
      pollfd waiting{signals_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, look_interval_ms) > 0) return false;
    }
    return true;
  }

  int show(bool first) {
    const auto rows = watch_.sample(now());
    if (options_.json) return print(json_of_rings(rows, source_.name(), now(), source_.remarks(), watch_.logs()));
    const std::string text = text_of(rows);
    if (::isatty(STDOUT_FILENO) == 0) return print((first ? "" : "\n") + text);
    return print((first ? "\x1b[2J" : "") + in_place(text));
  }

  /// Ports without a front-end are named in place of their rings.
  std::string text_of(const std::vector<RingRow>& rows) const {
    std::string text = source_.name() + '\n';
    const auto remarks = source_.remarks();
    for (const std::string& remark : remarks) text += printable(remark) + '\n';
    return rows.empty() && !remarks.empty() ? text : text + text_of_rings(rows, style_of_output(), watch_.logs());
  }

  ProbeTime now() const { return Clock::now() - begin_; }

  const RingsOptions& options_;
  RingSource& source_;
  RingWatch watch_;
  UniqueFd signals_ = catch_end_signals();
  Clock::time_point begin_ = Clock::now();
};

}  // namespace

CLI::App* add_rings_command(CLI::App& app, RingsOptions& options) {
  CLI::App* const rings = app.add_subcommand("rings", rings_help);
  rings->footer(rings_footer);
  CLI::Option_group* const what = rings->add_option_group("What to watch");
  what->add_option("PID|SOCK", options.process,
                   "A running back-end on vhostx, `vhostx-probe trace` or `listen`: its process number, or its socket");
  auto* const qmp =
      what->add_option("--qmp", options.qmp, "The socket of a running QEMU's monitor (QMP; QEMU 7.2 or later)")
          ->type_name("SOCK");
  what->require_option(1);
  const auto set_pid = [&options](int pid) { options.pid = pid; };
  rings
      ->add_option_function<int>("--pid", set_pid,
                                 "With --qmp: QEMU's process number, if another process made the socket (libvirt)")
      ->type_name("PID")
      ->needs(qmp);
  expect_whole(rings->get_option("--pid"), 1, std::numeric_limits<int>::max(), "a process number");
  add_seconds_option(*rings, "--interval", options.interval, "Seconds between refreshes (1)");
  add_seconds_option(*rings, "--stuck", options.stuck,
                     "Seconds without a used buffer until a ring with available buffers counts as stuck (2)");
  rings->add_flag("--stuck-receive", options.stuck_receive,
                  "Report receive rings as stuck too; they wait as long as no packet comes");
  auto* const count = rings->add_option("--count", options.count, "Refreshes (0: until interrupted)")->type_name("N");
  expect_whole(count, 0, std::numeric_limits<std::int64_t>::max(), "refreshes");
  rings
      ->add_flag_callback(
          "--once", [&options] { options.count = 1; }, "The same as --count 1")
      ->excludes(count);
  rings->add_flag("--json", options.json,
                  "One JSON object per refresh, on one line; tools/probe/README.md lists its keys");
  return rings;
}

int run_rings(const RingsOptions& options) {
  const auto source = open_source(options);
  if (!source) return fail(options.qmp.empty() ? options.process : options.qmp, source.error().message);
  return Watcher(options, **source).run();
}

}  // namespace vhostx::tools::probe
