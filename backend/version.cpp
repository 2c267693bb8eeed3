// SPDX-License-Identifier: BSD-3-Clause
// The version that was compiled into the library.
#include <vhostx/version.hpp>

namespace vhostx {

const char* version() noexcept { return VHOSTX_VERSION_STRING; }
int version_number() noexcept { return VHOSTX_VERSION_NUMBER; }

}  // namespace vhostx
