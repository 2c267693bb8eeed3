// SPDX-License-Identifier: BSD-3-Clause
// On which NUMA nodes a region of guest memory lies.
#pragma once

#include <cstdint>
#include <string>

#include <vhostx/placement.hpp>
#include <vhostx/result.hpp>

#include "numa/kernel.hpp"

namespace vhostx::tools::probe {

/// Part of a memory file.
struct FileRange {
  int fd = -1;  ///< Open for reading.
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

inline constexpr std::size_t sampled_pages_max = 512;

/// The nodes of at most sampled_pages_max pages of 4 KiB, evenly spread. Nothing is allocated: what nobody has touched
/// is counted as absent. Of huge pages the kernel tells that only where all of the file is allocated; else they are
/// absent too. The range is mapped for reading meanwhile and not read, so that a file which is truncated does no harm.
/// What lies behind the file's end is left out. Errors: system, invalid_argument (nothing of the range is in the file).
Result<NodeHistogram> memory_nodes(const FileRange& range, const numa::Kernel& kernel = numa::kernel());

/// "node 0: 512 pages", "node 0: 400 pages, node 1: 100 pages, 12 absent"; "no pages" for none.
std::string text_of_nodes(const NodeHistogram& histogram);

}  // namespace vhostx::tools::probe
