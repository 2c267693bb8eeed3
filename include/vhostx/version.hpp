// SPDX-License-Identifier: BSD-3-Clause
// Version of the headers, as macros (VHOSTX_VERSION_NUMBER and others), and of the library that runs, as functions.
#pragma once

#include <vhostx/c/version.h>
#include <vhostx/export.hpp>

namespace vhostx {

/// Version of the running library, e.g. "0.1.0". It may be newer than the headers that the program was built with
/// (VHOSTX_VERSION_STRING). A static string. Any thread.
VHOSTX_EXPORT const char* version() noexcept;
/// The same as a number that can be compared with VHOSTX_VERSION_NUMBER and VHOSTX_MAKE_VERSION(). Any thread.
VHOSTX_EXPORT int version_number() noexcept;

}  // namespace vhostx
