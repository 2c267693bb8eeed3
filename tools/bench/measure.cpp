// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/measure.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <sched.h>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "tools/bench/limit.hpp"
#include "tools/bench/side.hpp"
#include "tools/common/signals.hpp"

namespace vhostx::tools::bench {
namespace {

using Sides = std::vector<std::unique_ptr<Side>>;

Result<void> pin(std::string_view option, int cpu) {
  if (cpu < 0) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) == 0) return {};
  return make_system_error(errno, "{} {}", option, cpu);
}

bool asked_to_end(const UniqueFd& signals) {
  char one[128];  // a signalfd_siginfo
  return signals && ::read(signals.get(), one, sizeof one) > 0;
}

/// One line of progress that overwrites itself, on a terminal.
class Progress {
 public:
  explicit Progress(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) != 0) {}
  ~Progress() { show(""); }
  void show(std::string_view text) const {
    if (!shown_) return;
    fmt::print(stderr, "\r\033[K{}", text);
    std::fflush(stderr);
  }

 private:
  bool shown_;
};

class Measurement {
 public:
  Measurement(const Options& options, UniqueFd signals)
      : options_(options), signals_(std::move(signals)), progress_(!options.json) {}

  Result<void> open();
  Result<void> run();
  Report take() { return std::move(report_); }

 private:
  Result<void> measure_size(std::uint32_t bytes);
  Result<void> rounds(const std::vector<std::size_t>& able, std::uint32_t bytes);
  Result<void> one_round(std::size_t side, std::uint32_t bytes, unsigned round);
  Result<void> measure_limit_of(std::uint32_t bytes);
  void pause_all_but(std::size_t side);

  const Options& options_;
  UniqueFd signals_;
  Progress progress_;
  Sides sides_;
  Report report_;
};

Result<void> Measurement::open() {
  for (const SideSpec& spec : options_.sides) {
    progress_.show("connecting to " + spec.label);
    auto side = Side::open(spec, options_);
    if (!side) return side.error();
    report_.sides.push_back({(*side)->label(), (*side)->describe(), {}});
    sides_.push_back(*std::move(side));
  }
  return {};
}

Result<void> Measurement::run() {
  for (const std::uint32_t bytes : options_.sizes) {
    if (auto done = measure_size(bytes); !done) return done;
    if (report_.interrupted) break;
    if (!options_.limit) continue;
    if (auto done = measure_limit_of(bytes); !done) return done;
  }
  return {};
}

Result<void> Measurement::measure_size(std::uint32_t bytes) {
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    report_.sides[i].sizes.push_back({.frame_bytes = bytes});
    if (auto possible = sides_[i]->can_carry(bytes); !possible) {
      report_.sides[i].sizes.back().impossible = possible.error().message;
      continue;
    }
    pause_all_but(i);
    if (auto begun = sides_[i]->begin(bytes); !begun) return begun;
    able.push_back(i);
  }
  return rounds(able, bytes);
}

Result<void> Measurement::rounds(const std::vector<std::size_t>& able, std::uint32_t bytes) {
  for (unsigned round = 0; round < options_.rounds && !report_.interrupted; ++round)
    for (const std::size_t side : able) {
      if (auto done = one_round(side, bytes, round); !done) return done;
      report_.interrupted = report_.interrupted || asked_to_end(signals_);
    }
  for (const std::size_t side : able) {
    SizeResult& result = report_.sides[side].sizes.back();
    result.counts = sides_[side]->counts();
    if (options_.mode == Mode::latency) result.latency = sides_[side]->latency();
  }
  return {};
}

Result<void> Measurement::one_round(std::size_t side, std::uint32_t bytes, unsigned round) {
  pause_all_but(side);
  const auto duration =
      std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * options_.duration_s / options_.rounds));
  SizeResult& result = report_.sides[side].sizes.back();
  if (options_.log) {
    auto moved = sides_[side]->migrate(duration);
    if (!moved) return moved.error();
    result.rounds.push_back(moved->without_log);
    result.moves.push_back(*moved);
  } else {
    auto done = sides_[side]->round(duration);
    if (!done) return done.error();
    result.rounds.push_back(*done);
  }
  const Round& done = result.rounds.back();
  progress_.show(fmt::format("{}: {} bytes, round {} of {}: {:.3f} Mpps", sides_[side]->label(), bytes, round + 1,
                             options_.rounds, static_cast<double>(done.packets) / done.seconds / 1e6));
  return {};
}

Result<void> Measurement::measure_limit_of(std::uint32_t bytes) {
  progress_.show(fmt::format("{} bytes through a bare ring", bytes));
  pause_all_but(sides_.size());
  const LimitOptions limit{bytes,
                           options_.cpu,
                           options_.limit_cpu,
                           options_.duration_s / options_.rounds,
                           options_.rounds,
                           options_.guest.ring_size,
                           static_cast<std::uint16_t>(options_.burst)};
  auto measured = measure_limit(limit);
  if (!measured) return measured.error();
  report_.limits.push_back(*std::move(measured));
  return {};
}

void Measurement::pause_all_but(std::size_t side) {
  for (std::size_t i = 0; i < sides_.size(); ++i)
    if (i != side) sides_[i]->pause();
  if (side < sides_.size()) sides_[side]->resume();
}

}  // namespace

Result<Report> measure(const Options& options) {
  if (options.limit) {  // tried now: it is measured after the first size
    if (auto tried = pin("--limit-cpu", options.limit_cpu); !tried) return tried.error();
  }
  if (auto pinned = pin("--cpu", options.cpu); !pinned) return pinned.error();
  Measurement measurement(options, catch_end_signals());
  if (auto opened = measurement.open(); !opened) return opened.error();
  if (auto done = measurement.run(); !done) return done.error();
  return measurement.take();
}

}  // namespace vhostx::tools::bench
