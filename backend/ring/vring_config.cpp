// SPDX-License-Identifier: BSD-3-Clause
#include "backend/ring/vring_config.hpp"

#include <limits>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using V = protocol::VirtioFeature;

// The MTU does not include the Ethernet header and two VLAN tags (VIRTIO 1.2, 5.1.4).
constexpr std::uint32_t frame_overhead = 14 + 2 * 4;

std::uint32_t frame_max(std::uint16_t mtu) noexcept {
  return mtu == 0 ? std::numeric_limits<std::uint32_t>::max() : mtu + frame_overhead;
}

}  // namespace

Result<virtqueue::AnyLayout> lay_out(const VringConfig& config, const RingEnvironment& environment) {
  if (!config.configured())
    return protocol_violation("the ring has no {}, expected SET_VRING_{} before",
                              config.size == 0 ? "size" : "addresses", config.size == 0 ? "NUM" : "ADDR");
  if (environment.memory == nullptr)
    return protocol_violation("no guest memory, expected SET_MEM_TABLE or ADD_MEM_REG before");
  const virtqueue::RingFeatures features{.indirect = environment.features.has(V::indirect_desc),
                                         .event_idx = environment.features.has(V::event_idx),
                                         .in_order = environment.features.has(V::in_order)};
  return virtqueue::lay_out_ring(kind_of(environment.features), *environment.memory, *config.addresses, config.size,
                                 features);
}

Result<std::unique_ptr<RunningVring>> build_running(const VringConfig& config, const RingEnvironment& environment) {
  auto layout = lay_out(config, environment);
  if (!layout) return std::move(layout).error();
  auto running = std::make_unique<RunningVring>();
  running->layout = *layout;
  running->memory = environment.memory;
  running->dma = environment.dma;
  running->log = environment.log;
  running->used_log = config.used_log;
  running->log_signal = environment.log_signal;
  running->inflight = config.inflight;
  running->call = config.call;
  running->err = config.err;
  running->call_in_band = environment.call_in_band && config.call == nullptr;
  running->enabled = config.enabled;
  running->features = environment.features.bits();
  running->frame_max = frame_max(environment.mtu);
  return running;
}

bool starts_without_kick(const VringConfig& config, const virtqueue::AnyLayout& layout) noexcept {
  const bool fresh =
      config.base == 0 || (layout.kind == virtqueue::RingKind::packed && virtqueue::begins_afresh(config.base));
  return !fresh || layout.was_used();
}

}  // namespace vhostx::backend
