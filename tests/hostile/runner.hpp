// SPDX-License-Identifier: BSD-3-Clause
// Which attacks are made, in which back-end, and what is printed of them.
#pragma once

#include "tests/hostile/options.hpp"

namespace vhostx::hostile {

/// Exit code: 0 all is well, 1 something is not, 2 there is no such attack.
int run(const Options& options);

}  // namespace vhostx::hostile
