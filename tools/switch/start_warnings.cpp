// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/start_warnings.hpp"

#include <fmt/format.h>

namespace vhostx::tools {

std::vector<std::string> start_warnings(const Options& options, std::size_t workers, std::size_t cpus) {
  std::vector<std::string> warnings;
  if (workers > cpus)
    warnings.push_back(fmt::format(
        "{} workers share {} CPU{}: packets wait while a worker waits for its turn; expected at most as many "
        "workers as CPUs that the process may use",
        workers, cpus, cpus == 1 ? "" : "s"));
  const bool pairs = (options.mode == Mode::io || options.mode == Mode::mac) && options.topology == Topology::paired;
  if (pairs && options.port_count() % 2 != 0)
    warnings.push_back(fmt::format(
        "port {} has no partner: --mode {} sends its packets back to it; expected an even number of ports, or "
        "--topology loop",
        options.tap.empty() ? options.ports.back().path : options.tap, to_string(options.mode)));
  return warnings;
}

}  // namespace vhostx::tools
