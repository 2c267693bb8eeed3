// SPDX-License-Identifier: BSD-3-Clause
// Kernel TAP interfaces: opening one and setting it up.
#pragma once

#include <string>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools {

/// Makes the interface, or takes over a persistent one; non-blocking, without packet information. `flags` are further
/// ones for TUNSETIFF, such as IFF_VNET_HDR. Errors: system, with what was tried: no /dev/net/tun, no permission
/// (CAP_NET_ADMIN), name in use. The name is not in the text.
Result<UniqueFd> open_tap(const std::string& name, int flags);
Result<void> set_interface_up(const std::string& name);

}  // namespace vhostx::tools
