// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// Version of the headers, as macros, and of the library that runs, as functions. version.hpp has the same for C++.
#pragma once

#define VHOSTX_VERSION_MAJOR 0         ///< First number of the version of these headers.
#define VHOSTX_VERSION_MINOR 1         ///< Second number.
#define VHOSTX_VERSION_PATCH 0         ///< Third number.
#define VHOSTX_VERSION_STRING "0.1.0"  ///< The three with dots between them.

/// A version as one number that can be compared: 1.2.3 is 1002003.
#define VHOSTX_MAKE_VERSION(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
/// The version of these headers as such a number: `#if VHOSTX_VERSION_NUMBER >= VHOSTX_MAKE_VERSION(0, 2, 0)`.
#define VHOSTX_VERSION_NUMBER VHOSTX_MAKE_VERSION(VHOSTX_VERSION_MAJOR, VHOSTX_VERSION_MINOR, VHOSTX_VERSION_PATCH)

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// Version of the running library, e.g. "0.1.0". It may be newer than the headers that the program was built with. A
/// static string. Any thread.
const char* vhostx_version(void);
/// The same as a number, made as VHOSTX_VERSION_NUMBER is. Any thread.
int vhostx_version_number(void);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
