// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/eal_options.hpp"

#include <algorithm>
#include <iterator>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/common/completion.hpp"
#include "tools/common/line_walk.hpp"

namespace vhostx::tools {
namespace {

// Of DPDK 22.11 to 25.11; on Linux.
constexpr std::string_view eal_options[]{"--allow",
                                         "--base-virtaddr",
                                         "--block",
                                         "--coremask",
                                         "--corelist",
                                         "--create-uio-dev",
                                         "--driver-path",
                                         "--file-prefix",
                                         "--force-max-simd-bitwidth",
                                         "--huge-dir",
                                         "--huge-unlink",
                                         "--huge-worker-stack",
                                         "--in-memory",
                                         "--iova-mode",
                                         "--lcores",
                                         "--legacy-mem",
                                         "--log-color",
                                         "--log-level",
                                         "--log-timestamp",
                                         "--main-lcore",
                                         "--match-allocations",
                                         "--max-simd",
                                         "--mbuf-pool-ops-name",
                                         "--memory-channels",
                                         "--memory-ranks",
                                         "--memory-size",
                                         "--no-hpet",
                                         "--no-huge",
                                         "--no-pci",
                                         "--no-shconf",
                                         "--no-telemetry",
                                         "--proc-type",
                                         "--remap-lcore-ids",
                                         "--service-corelist",
                                         "--service-coremask",
                                         "--single-file-segments",
                                         "--socket-limit",
                                         "--socket-mem",
                                         "--syslog",
                                         "--telemetry",
                                         "--trace",
                                         "--trace-bufsz",
                                         "--trace-dir",
                                         "--trace-mode",
                                         "--vdev",
                                         "--vfio-intr",
                                         "--vfio-vf-token",
                                         "--vmware-tsc-map"};
constexpr std::string_view eal_letters = "abcdlmnrsSv";

/// -l, -l0-1, --lcores, --lcores=0@1
bool is_eal_option(std::string_view word) {
  if (word.size() > 1 && word[0] == '-' && word[1] != '-') return eal_letters.find(word[1]) != eal_letters.npos;
  return std::find(std::begin(eal_options), std::end(eal_options), word.substr(0, word.find('='))) !=
         std::end(eal_options);
}

}  // namespace

SplitLine split_line(const std::vector<std::string>& arguments) {
  const bool completes = !arguments.empty() && arguments.front() == complete_option;
  const auto first = arguments.begin() + (completes ? 1 : 0);
  const auto separator = std::find(first, arguments.end(), "--");
  SplitLine line;
  if (separator == arguments.end()) return {{}, arguments};
  line.eal.assign(first, separator);
  if (completes) line.own.push_back(arguments.front());
  line.own.insert(line.own.end(), separator + 1, arguments.end());
  return line;
}

std::string about_eal_option(std::string_view word) {
  if (!is_eal_option(word)) return {};
  return fmt::format(": it is an option of DPDK's EAL, and those come first: vhostx-switch {} ... -- --port ...", word);
}

std::string own_option_among(const CLI::App& app, const std::vector<std::string>& eal) {
  for (const auto& word : eal) {
    const auto name = word.substr(0, word.find('='));
    if (word.starts_with("--") && !is_eal_option(word) && find_option(app, name) != nullptr) return name;
  }
  return {};
}

}  // namespace vhostx::tools
