// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// All of vhostx's interface for C (C11, and C++ as well).
///
/// Rules that hold for all of it:
///
/// Objects are opaque. Whoever made one destroys it; to destroy null does nothing. Any other object that is
/// null is a programming error.
///
/// Options are structs that begin with their own size. Their init function sets it and all defaults; then change what
/// is to be otherwise. A program that was built with an older header than the library's gets the defaults for what it
/// does not know. One that was built with a newer header may use the library as long as it sets nothing that the
/// library does not know (unsupported, otherwise). What the library fills in (vhostx_port_info, say) is told its size
/// at the call.
///
/// Functions that can fail return VHOSTX_OK or another of vhostx_code, or an object that is null then, and write the
/// whole story to `error`, which may be null. It is not touched when all is well. Nothing throws, not even for want of
/// memory.
///
/// Values of enumerations never change; new ones are added at the end. Where one is stored or handed over it is an int.
///
/// Threads are as in the C++ interface, which this one is a thin layer over: the data path of a vring belongs to one
/// thread at a time, events and log lines come on the control thread.
#pragma once

#include <vhostx/c/backend.h>
#include <vhostx/c/error.h>
#include <vhostx/c/events.h>
#include <vhostx/c/log.h>
#include <vhostx/c/numa.h>
#include <vhostx/c/offload.h>
#include <vhostx/c/peeked_packet.h>
#include <vhostx/c/placement.h>
#include <vhostx/c/port.h>
#include <vhostx/c/transfer.h>
#include <vhostx/c/vring.h>
#include <vhostx/c/vring_fault.h>
#include <vhostx/c/vring_stats.h>
#include <vhostx/c/waiter.h>
