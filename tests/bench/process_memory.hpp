// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace vhostx::bench {

/// Of this process, in KiB (proc(5): smaps_rollup, status).
struct ProcessMemory {
  double anonymous_kib = 0;  ///< Its own: heap, stacks.
  double rss_kib = 0;        ///< With what it shares, guest memory among it.
  double virtual_kib = 0;

  ProcessMemory operator-(const ProcessMemory& other) const {
    return {anonymous_kib - other.anonymous_kib, rss_kib - other.rss_kib, virtual_kib - other.virtual_kib};
  }
  ProcessMemory operator/(double count) const { return {anonymous_kib / count, rss_kib / count, virtual_kib / count}; }
};

/// Ends the process with a message when it cannot be read.
ProcessMemory read_process_memory();
/// Open file descriptors of this process.
int count_fds();

}  // namespace vhostx::bench
