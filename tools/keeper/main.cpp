// SPDX-License-Identifier: BSD-3-Clause
// vhostx-keeper: a Keeper in the foreground, and what it prints.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/log_limit.hpp"
#include "continuity/keeper.hpp"
#include "tools/common/output.hpp"
#include "tools/common/signals.hpp"
#include "tools/keeper/keeper_text.hpp"
#include "tools/keeper/notify.hpp"
#include "tools/keeper/options.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::tools;
using namespace vhostx::tools::keeper;

constexpr std::chrono::milliseconds last_words{500};

int fail(const Error& error) {
  fmt::print(stderr, "vhostx-keeper: {}\n", error.message);
  return 1;
}

/// Standard output, for which nobody waits, and in which clients cannot cause lines without end.
class Log {
 public:
  explicit Log(bool json) : json_(json), limit_(start_), output_(STDOUT_FILENO, [] {}) {}

  void write(std::string line) { output_.write(std::move(line)); }
  void write(const continuity::KeeperEvent& event) {
    const auto now = LogLimit::Clock::now();
    std::uint64_t left_out = 0;
    if (!output_.has_room() || !limit_.take(now, left_out)) return static_cast<void>(++without_room_);
    if (left_out = std::exchange(without_room_, 0); left_out != 0) write(lines_lost(left_out, json_));
    write(event_line(event, now - start_, json_));
  }
  void end() { output_.drain(last_words); }

 private:
  const bool json_;
  const LogLimit::Clock::time_point start_ = LogLimit::Clock::now();
  LogLimit limit_;
  std::uint64_t without_room_ = 0;
  Output output_;
};

// Exit codes: 0 ended as it was asked to, 1 it could not run, 2 the command line was wrong.
int run(const Options& options) {
  const auto signals = catch_end_signals();
  if (!signals) return fail(Error{ErrorCode::system, "the kernel gives no descriptor for signals (signalfd)", 0});
  if (auto raised = continuity::raise_descriptor_limit(); !raised) return fail(raised.error());
  Log log(options.json);
  continuity::KeeperOptions wanted;
  wanted.path = options.path;
  wanted.grace = options.grace;
  wanted.on_event = [&log](const continuity::KeeperEvent& event) { log.write(event); };
  auto keeper = continuity::Keeper::create(std::move(wanted));
  if (!keeper) return fail(keeper.error());
  log.write(ready_line(options, keeper.value()->descriptors_max()));
  notify_ready();
  const auto ran = keeper.value()->run(signals.get());
  log.write(end_line(keeper.value()->bundles(), options.json));
  log.end();
  return ran ? 0 : fail(ran.error());
}

}  // namespace

int main(int argc, char** argv) { return run_program("vhostx-keeper", argc, argv, parse_options, run); }
