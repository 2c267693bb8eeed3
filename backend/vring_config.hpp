// SPDX-License-Identifier: BSD-3-Clause
// VringConfig: what the front-end asked for one ring, and the RunningVring that follows from it. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/running_vring.hpp"
#include "base/event_fd.hpp"
#include "memory/guest_memory.hpp"
#include "protocol/features.hpp"
#include "virtqueue/ring_layout.hpp"

namespace vhostx::backend {

/// vhost-user "Ring states": `enabled` is one axis; the other goes from configured over armed and kicked to started.
struct VringConfig {
  std::uint32_t size = 0;                             ///< SET_VRING_NUM
  std::optional<virtqueue::RingAddresses> addresses;  ///< SET_VRING_ADDR
  std::uint16_t base = 0;                             ///< SET_VRING_BASE, or where GET_VRING_BASE stopped
  bool enabled = false;                               ///< SET_VRING_ENABLE
  bool armed = false;                                 ///< SET_VRING_KICK came: a kick may start it
  bool kicked = false;                                ///< the kick came
  std::shared_ptr<const EventFd> kick;                ///< the driver's, or our own where it kicks in-band
  std::shared_ptr<const EventFd> call;
  std::shared_ptr<const EventFd> err;

  bool configured() const noexcept { return size != 0 && addresses.has_value(); }
};

/// What a ring needs of its device.
struct RingEnvironment {
  std::shared_ptr<const memory::GuestMemory> memory;
  std::shared_ptr<const zerocopy::DmaMemory> dma;  ///< Of a port with zero copy.
  protocol::FeatureSet features;
  std::uint16_t mtu = 0;  ///< 0: not set.
  bool call_in_band = false;
};

/// The ring's pointers in `environment.memory`. Error: protocol_violation, which says what is missing or out of place.
Result<virtqueue::RingLayout> lay_out(const VringConfig& config, const RingEnvironment& environment);

/// All that a data thread needs, checked. Errors as lay_out().
Result<std::unique_ptr<RunningVring>> build_running(const VringConfig& config, const RingEnvironment& environment);

/// Where the ring goes on. A driver's buffers between used->idx and the base were taken by an earlier back-end and
/// never given back; one that says base 0 after a reconnection (DPDK's virtio-user) has had all before used->idx back.
/// We give back in order, or, where a ring lends, have given back all when it stops: used->idx is right in both cases.
std::uint16_t resume_index(const virtqueue::RingLayout& layout) noexcept;

/// Whether a ring that has its kick descriptor starts without a kick. vhost-user "Ring states" has had two editions:
/// the older one starts a ring at its first kick; the newer one (2026) at SET_VRING_KICK, and asks the front-end for a
/// kick (QEMU does since 11.1) that the back-end should not wait for. Both are served. Where the first kick may never
/// come, none is waited for: buffers are there, whose kick may have been an earlier back-end's; or the ring was in use
/// before (after a reconnection, or resumed); or an earlier back-end has switched kicks off in it. A fresh ring without
/// buffers has nothing to do before its driver kicks.
bool starts_without_kick(const VringConfig& config, const virtqueue::RingLayout& layout) noexcept;

}  // namespace vhostx::backend
