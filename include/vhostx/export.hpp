// SPDX-License-Identifier: BSD-3-Clause
// Symbols that libvhostx.so exports; all others are hidden.
#pragma once

#include <vhostx/cxx20.hpp>

#define VHOSTX_EXPORT __attribute__((visibility("default")))
// Internal members of exported classes.
#define VHOSTX_HIDDEN __attribute__((visibility("hidden")))
