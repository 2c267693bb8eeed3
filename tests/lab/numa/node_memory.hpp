// SPDX-License-Identifier: BSD-3-Clause
// On which nodes memory of this process lies, and how it gets to others. Asks the kernel and nobody else.
#pragma once

#include <cstddef>
#include <map>
#include <string_view>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::lab {

using Nodes = std::vector<unsigned>;
inline constexpr unsigned node_max = 63;

/// "1", or "0+1": half of the pages each.
Result<Nodes> parse_nodes(std::string_view text);

/// While it lives, what this thread touches for the first time comes from these nodes, in turn.
class AllocateOn {
 public:
  static Result<AllocateOn> begin(const Nodes& nodes);
  AllocateOn(AllocateOn&& other) noexcept;
  AllocateOn& operator=(AllocateOn&&) = delete;
  ~AllocateOn();

 private:
  AllocateOn() = default;
  bool active_ = true;
};

struct Range {
  std::byte* at = nullptr;
  std::size_t bytes = 0;
  std::size_t page_bytes = 4096;
};

/// Pages by node; those that are not in memory under -1.
Result<std::map<int, std::size_t>> count_pages(const Range& range);

/// Binds the range, and moves what is not on its nodes there, also pages that other processes map: needs CAP_SYS_NICE.
/// Tries again for some seconds while pages stay behind, and fails with errno EIO then. The kernel's automatic
/// balancing leaves alone what is bound.
Result<void> bind(const Range& range, const Nodes& nodes);

}  // namespace vhostx::lab
