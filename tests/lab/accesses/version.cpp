// SPDX-License-Identifier: BSD-3-Clause
#include "tests/lab/accesses/qemu_plugin_api.hpp"

int qemu_plugin_version = VHOSTX_PLUGIN_VERSION;
