// SPDX-License-Identifier: BSD-3-Clause
// The whole public C++ interface of vhostx, except telemetry.hpp and systemd.hpp.
#pragma once

/// A vhost-user-net back-end for DPDK applications.
namespace vhostx {}

#include <vhostx/backend.hpp>
#include <vhostx/cxx20.hpp>
#include <vhostx/enqueue_end.hpp>
#include <vhostx/events.hpp>
#include <vhostx/features.hpp>
#include <vhostx/log.hpp>
#include <vhostx/numa.hpp>
#include <vhostx/offload.hpp>
#include <vhostx/packet_sizes.hpp>
#include <vhostx/placement.hpp>
#include <vhostx/port.hpp>
#include <vhostx/queue_pairs.hpp>
#include <vhostx/result.hpp>
#include <vhostx/transfer.hpp>
#include <vhostx/version.hpp>
#include <vhostx/vring.hpp>
#include <vhostx/vring_fault.hpp>
#include <vhostx/vring_stats.hpp>
#include <vhostx/waiter.hpp>
