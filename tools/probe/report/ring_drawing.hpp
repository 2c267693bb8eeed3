// SPDX-License-Identifier: BSD-3-Clause
// Each ring as a card with a drawing of its areas, and all of them as one table. Pure.
#pragma once

#include <string>

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/ring_areas.hpp"
#include "tools/probe/report/stack_layout.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

inline constexpr std::size_t drawn_rings_max = 64;

Stack lay_out_ring(const std::array<RingArea, 3>& areas);

/// The cards of the first drawn_rings_max rings. `id` is a word that nothing else of the page begins with.
Html ring_cards(const SessionState& state, const std::string& id);
Html ring_table(const SessionState& state);

}  // namespace vhostx::tools::probe
