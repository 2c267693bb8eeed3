// SPDX-License-Identifier: BSD-3-Clause
#include <vhostx/c/version.h>
#include <vhostx/version.hpp>

const char* vhostx_version() { return vhostx::version(); }
int vhostx_version_number() { return vhostx::version_number(); }
