// SPDX-License-Identifier: BSD-3-Clause
/// @file
/// The whole public C interface of vhostx (C11; also valid in C++). These rules apply to all of it:
///
/// Objects are opaque. Release each object with the matching `destroy` or `free`; passing null to these does nothing.
/// Passing null for an object to any other function is a programming error, but for a vhostx_vring, which may be null
/// (vhostx/c/vring.h).
///
/// Options are structs that start with their own size. Their init function sets the size and all defaults; then
/// override what you need. A program that was built with an older header gets the defaults for newer options. A program
/// that was built with a newer header can use an older library as long as it sets no option that the library does not
/// know; otherwise the call fails with VHOSTX_UNSUPPORTED. For a struct that the library fills in, such as
/// vhostx_port_info, pass its size to the call.
///
/// Functions that can fail return VHOSTX_OK or another vhostx_code; functions that return an object return null. They
/// write the code and a message to `error`, unless `error` is null. On success they do not change it. No function
/// throws, not even when memory is exhausted.
///
/// Values of enumerations never change; new ones are added at the end. Members and parameters have the type int.
///
/// Threads: as in the C++ interface, of which this is a thin layer. One thread at a time uses the data path of a vring.
/// Events and log lines come on the control thread.
#pragma once

#include <vhostx/c/backend.h>
#include <vhostx/c/error.h>
#include <vhostx/c/events.h>
#include <vhostx/c/features.h>
#include <vhostx/c/log.h>
#include <vhostx/c/numa.h>
#include <vhostx/c/offload.h>
#include <vhostx/c/packet_sizes.h>
#include <vhostx/c/peeked_packet.h>
#include <vhostx/c/placement.h>
#include <vhostx/c/port.h>
#include <vhostx/c/queue_pairs.h>
#include <vhostx/c/state.h>
#include <vhostx/c/transfer.h>
#include <vhostx/c/version.h>
#include <vhostx/c/vring.h>
#include <vhostx/c/vring_fault.h>
#include <vhostx/c/vring_stats.h>
#include <vhostx/c/waiter.h>
