// SPDX-License-Identifier: BSD-3-Clause
// Symbols that libvhostx.so exports; all others are hidden.
#pragma once

#define VHOSTX_EXPORT __attribute__((visibility("default")))
// Internal members of exported classes.
#define VHOSTX_HIDDEN __attribute__((visibility("hidden")))
