// SPDX-License-Identifier: BSD-3-Clause
// What libvhostx.so shows: everything else in it is hidden.
#pragma once

#define VHOSTX_EXPORT __attribute__((visibility("default")))
// Of what is shown, the parts that are the library's own.
#define VHOSTX_HIDDEN __attribute__((visibility("hidden")))
