// SPDX-License-Identifier: BSD-3-Clause
// How the page looks: on wide and narrow screens, light and dark, and on paper.
#pragma once

namespace vhostx::tools::probe {

extern const char* const style_sheet;

}  // namespace vhostx::tools::probe
