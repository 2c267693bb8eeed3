// SPDX-License-Identifier: BSD-3-Clause
// The guest's memory as one drawing and one table. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/stack_layout.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// One area of one ring, where it lies in the guest's memory.
struct RingMark {
  std::uint32_t ring = 0;
  std::size_t area = 0;  ///< 0 descriptors, 1 available, 2 used.
  double y = 0;
};

/// Text beside marks that lie too close to each other to be told apart.
struct MarkLabel {
  std::string text;
  double mark_y = 0;
  double y = 0;
};

struct MemoryLayout {
  Stack regions;
  std::vector<RingMark> marks;    ///< Ascending by y.
  std::vector<MarkLabel> labels;  ///< Ascending by y.
  std::size_t omitted = 0;        ///< Regions that are only counted.
  double height = 0;
};

inline constexpr std::size_t drawn_regions_max = 128;

MemoryLayout lay_out_memory(const SessionState& state);

/// `id` is a word that no other drawing of the page has.
Html memory_drawing(const SessionState& state, const MemoryLayout& layout, const std::string& id);
Html memory_table(const SessionState& state);

}  // namespace vhostx::tools::probe
