// SPDX-License-Identifier: BSD-3-Clause
// VringConfig: the front-end's settings of one ring, and the RunningVring made from them. Control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <vhostx/result.hpp>

#include "backend/ring/running_vring.hpp"
#include "base/event_fd.hpp"
#include "memory/guest_memory.hpp"
#include "protocol/features.hpp"
#include "virtqueue/any_layout.hpp"
#include "virtqueue/inflight_area.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::backend {

/// vhost-user "Ring states": `enabled` is one axis. The other is configured, armed, kicked, started.
struct VringConfig {
  std::uint32_t size = 0;                             ///< SET_VRING_NUM
  std::optional<virtqueue::RingAddresses> addresses;  ///< SET_VRING_ADDR
  std::optional<memory::GuestAddress> used_log;       ///< SET_VRING_ADDR with VHOST_VRING_F_LOG
  std::uint32_t base = 0;                             ///< SET_VRING_BASE, or where GET_VRING_BASE stopped
  bool enabled = false;                               ///< SET_VRING_ENABLE
  bool armed = false;                                 ///< SET_VRING_KICK came: a kick may start it
  bool kicked = false;                                ///< the kick came
  std::shared_ptr<const EventFd> kick;                ///< the driver's, or our own for in-band kicks
  std::shared_ptr<const EventFd> call;
  std::shared_ptr<const EventFd> err;
  virtqueue::AnyRecord inflight;  ///< While it runs.

  bool configured() const noexcept { return size != 0 && addresses.has_value(); }
};

/// What a ring needs from its device.
struct RingEnvironment {
  std::shared_ptr<const memory::GuestMemory> memory;
  std::shared_ptr<const zerocopy::DmaMemory> dma;           ///< Of a port with zero copy.
  std::shared_ptr<const memory::DirtyLog> log;              ///< Null: nothing is logged.
  std::shared_ptr<const EventFd> log_signal;                ///< SET_LOG_FD; may be null.
  std::shared_ptr<const virtqueue::InflightArea> inflight;  ///< SET_INFLIGHT_FD; may be null.
  /// For rings without a record of the front-end's; null: they have none.
  std::shared_ptr<const virtqueue::InflightStore> own_inflight;
  bool lends = false;  ///< The port has zero copy, if not `dma` at this moment.
  protocol::FeatureSet features;
  std::uint16_t mtu = 0;  ///< 0: not set.
  bool call_in_band = false;
};

/// The kind of rings that was negotiated.
inline virtqueue::RingKind kind_of(protocol::FeatureSet features) noexcept {
  return features.has(protocol::VirtioFeature::ring_packed) ? virtqueue::RingKind::packed : virtqueue::RingKind::split;
}

/// The ring's pointers in `environment.memory`. Error: protocol_violation, which says what is missing or out of place.
Result<virtqueue::AnyLayout> lay_out(const VringConfig& config, const RingEnvironment& environment);

/// All that a data thread needs, checked. Errors as lay_out().
Result<std::unique_ptr<RunningVring>> build_running(const VringConfig& config, const RingEnvironment& environment);

/// Whether a ring with its kick descriptor starts without a kick. vhost-user "Ring states" has two editions: by the
/// older one a ring starts at its first kick, by the newer one (2026) at SET_VRING_KICK; the front-end then also kicks
/// (QEMU does since 11.1), but the back-end should not wait for that. Both are supported. If the first kick may never
/// come, the ring does not wait for it: if buffers are available, as their kick may have gone to an earlier back-end;
/// if the ring was in use before (after a reconnection, or resumed); or if an earlier back-end has switched kicks off
/// in it. A fresh ring without buffers waits for its driver's kick.
bool starts_without_kick(const VringConfig& config, const virtqueue::AnyLayout& layout) noexcept;

}  // namespace vhostx::backend
