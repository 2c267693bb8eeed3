// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/process_memory.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace vhostx::bench {
namespace {

/// The number after `name` at the start of a line.
double field(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return std::stod(line.substr(name.size()));
  std::fprintf(stderr, "bench: no '%s' in %s\n", name.c_str(), path);
  std::exit(1);
}

}  // namespace

ProcessMemory read_process_memory() {
  return {field("/proc/self/smaps_rollup", "Anonymous:"), field("/proc/self/smaps_rollup", "Rss:"),
          field("/proc/self/status", "VmSize:")};
}

int count_fds() {
  const auto fds = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<int>(std::distance(begin(fds), end(fds))) - 1;  // less the iterator's own
}

}  // namespace vhostx::bench
