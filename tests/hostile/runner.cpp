// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/runner.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <fnmatch.h>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/hostile/referee.hpp"

namespace vhostx::hostile {
namespace {

using namespace std::chrono_literals;
using Chosen = std::vector<const Attack*>;

const char* to_string(Expected::Kind kind) {
  switch (kind) {
    case Expected::Kind::harmless:
      return "harmless";
    case Expected::Kind::refused:
      return "refused";
    case Expected::Kind::closed:
      return "closed";
    case Expected::Kind::broken:
      return "vring broken";
    case Expected::Kind::dropped:
      return "dropped";
    case Expected::Kind::survived:
      return "survived";
    case Expected::Kind::queued:
      return "queued";
  }
  return "";
}

Chosen choose(const Options& options) {
  Chosen chosen;
  for (const Attack& attack : all_attacks()) {
    if (options.others_only && attack.expected.kind == Expected::Kind::queued) continue;
    if (!options.group.empty() && attack.group() != options.group) continue;
    if (!options.only.empty() && ::fnmatch(options.only.c_str(), attack.name.c_str(), 0) != 0) continue;
    chosen.push_back(&attack);
  }
  return chosen;
}

void list(const Chosen& chosen) {
  for (const Attack* attack : chosen)
    fmt::print("{:<52} {:<15} {} {}\n", attack->name, attack->cve.empty() ? "" : "CVE-" + attack->cve,
               to_string(attack->expected.kind), attack->expected.text);
  fmt::print("{} attacks\n", chosen.size());
}

/// Prints findings as they come, from any thread, and counts.
class Report {
 public:
  void add(const Finding& finding) {
    const std::lock_guard lock(mutex_);
    const bool well = finding.complaints.empty();
    ++(well ? well_ : failed_);
    if (!well) failures_.push_back(finding.attack->name);
    longest_answer_ = std::max(longest_answer_, finding.longest_answer);
    longest_frame_ = std::max(longest_frame_, finding.longest_frame);
    victim_frames_ += finding.victim_frames;
    fmt::print("{} {:<50} {:>5} ms  {:>3} {:>3}  {}\n", well ? "ok    " : "FAILED", finding.attack->name,
               finding.took.count(), finding.longest_frame / 1ms, finding.longest_answer / 1ms, finding.seen);
    for (const auto& complaint : finding.complaints) fmt::print("       {}\n", complaint);
    std::fflush(stdout);
  }
  /// Of a whole back-end.
  void add(const std::string& about, const Complaints& complaints) {
    if (complaints.empty()) return;
    const std::lock_guard lock(mutex_);
    ++failed_;
    failures_.push_back(about);
    fmt::print("FAILED {}\n", about);
    for (const auto& complaint : complaints) fmt::print("       {}\n", complaint);
  }
  int summary() const {
    fmt::print(
        "{} as expected, {} failed; victims: {} frames, the longest on its way for {} us, the longest answer to "
        "a control message {} us\n",
        well_, failed_, victim_frames_, longest_frame_ / 1us, longest_answer_ / 1us);
    for (const auto& name : failures_) fmt::print("failed: {}\n", name);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  std::mutex mutex_;
  unsigned well_ = 0, failed_ = 0;
  std::uint64_t victim_frames_ = 0;
  std::chrono::nanoseconds longest_answer_{}, longest_frame_{};
  std::vector<std::string> failures_;
};

void make_alone(const Options& options, const Attack& attack, Report& report) try {
  Stage stage(options.program);
  Finding finding = make_attack(stage, attack, options.others_only);
  const Complaints at_end = stage.end();
  finding.complaints.insert(finding.complaints.end(), at_end.begin(), at_end.end());
  report.add(finding);
} catch (const std::exception& error) {
  report.add(attack.name, {error.what()});
}

void each_alone(const Options& options, const Chosen& chosen, Report& report) {
  std::atomic<std::size_t> position{0};
  std::vector<std::jthread> workers;
  for (unsigned job = 0; job < options.jobs; ++job)
    workers.emplace_back([&] {
      for (std::size_t at; (at = position++) < chosen.size();) make_alone(options, *chosen[at], report);
    });
}

void all_in_one(const Options& options, Chosen chosen, Report& report, std::uint64_t seed) try {
  std::mt19937_64 random(seed);
  std::shuffle(chosen.begin(), chosen.end(), random);
  chosen.resize((chosen.size() + options.share - 1) / options.share);
  fmt::print("one back-end, in the order of --seed {}\n", seed);
  Stage stage(options.program);
  for (const Attack* attack : chosen) {
    report.add(make_attack(stage, *attack, options.others_only));
    if (!stage.back_end().lives()) break;
  }
  report.add("the end of the back-end", stage.end());
} catch (const std::exception& error) {
  report.add("the back-end", {error.what()});
}

std::uint64_t new_seed() { return std::random_device()() | 1U; }

}  // namespace

int run(const Options& options) {
  const Chosen chosen = choose(options);
  if (chosen.empty()) return fmt::print(stderr, "hostile: there is no such attack\n"), 2;
  if (options.list) return list(chosen), 0;
  Report report;
  for (unsigned round = 0; round < options.repeat; ++round)
    if (options.one_process)
      all_in_one(options, chosen, report, options.seed != 0 ? options.seed + round : new_seed());
    else
      each_alone(options, chosen, report);
  return report.summary();
}

}  // namespace vhostx::hostile
