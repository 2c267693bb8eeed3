// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <utility>

#include <vhostx/backend.hpp>
#include <vhostx/c/port.h>
#include <vhostx/port.hpp>

#include "c/events.hpp"
#include "c/handles.hpp"
#include "c/placement.hpp"
#include "c/port_options.hpp"
#include "c/report.hpp"
#include "c/sized.hpp"
#include "c/vring_stats.hpp"

namespace vhostx::c {
namespace {

vhostx_port_info info_for_c(const PortInfo& info) noexcept {
  const auto& [connected, standing_by, features_offered, features, protocol_features_offered, protocol_features,
               memory_regions, memory_bytes, memory_regions_for_dma, dma_problem, mtu, status, vrings_named,
               connections, releases_pending, last_error, driver_ok, vrings_ready, queue_pairs_up, link_up] = info;
  vhostx_port_info to{};
  to.features_offered = features_offered;
  to.features = features;
  to.protocol_features_offered = protocol_features_offered;
  to.protocol_features = protocol_features;
  to.memory_bytes = memory_bytes;
  to.connections = connections;
  to.memory_regions = memory_regions;
  to.memory_regions_for_dma = memory_regions_for_dma;
  to.mtu = mtu;
  to.status = status;
  to.vrings_named = vrings_named;
  to.connected = connected;
  to.releases_pending = releases_pending;
  copy_text(to.dma_problem, sizeof to.dma_problem, dma_problem);
  copy_text(to.last_error, sizeof to.last_error, last_error);
  to.vrings_ready = vrings_ready;
  to.queue_pairs_up = queue_pairs_up;
  to.driver_ok = driver_ok;
  to.link_up = link_up;
  to.standing_by = standing_by;
  return to;
}

vhostx_vring* vring_at(vhostx_port* port, std::uint32_t index) noexcept {
  return handle(object(port)->find_vring(index));
}

}  // namespace
}  // namespace vhostx::c

using namespace vhostx::c;

void vhostx_port_options_init(vhostx_port_options* options, size_t size) {
  write_options(options_for_c({}), options, size);
}

vhostx_port* vhostx_port_open(vhostx_backend* backend, const vhostx_port_options* options,
                              vhostx_event_handler on_event, void* user, vhostx_error* error) {
  return handle(run_for_object(error, [&]() -> vhostx::Result<std::unique_ptr<vhostx::Port>> {
    auto converted = options_of(options);
    if (!converted) return std::move(converted).error();
    return object(backend)->open_port(*std::move(converted), handler_of(on_event, user));
  }));
}

bool vhostx_port_disconnect(vhostx_port* port) { return object(port)->disconnect(); }

void vhostx_port_confirm_take_over(vhostx_port* port) { object(port)->confirm_take_over(); }

void vhostx_port_close(vhostx_port* port) { object(port)->close(); }

void vhostx_port_destroy(vhostx_port* port) { delete object(port); }

void vhostx_port_get_options(const vhostx_port* port, vhostx_port_options* options, size_t size) {
  write_options(options_for_c(object(port)->options()), options, size);
}

int vhostx_port_offered_features(const vhostx_port_options* options, uint64_t* features, vhostx_error* error) {
  return run_for_code(error, [&]() -> vhostx::Result<void> {
    const auto read = options_of(options);
    if (!read) return read.error();
    *features = vhostx::Port::offered_features(*read);
    return {};
  });
}

const char* vhostx_port_socket_path(const vhostx_port* port) { return object(port)->socket_path().c_str(); }

uint16_t vhostx_port_vring_count(const vhostx_port* port) { return object(port)->vring_count(); }

vhostx_vring* vhostx_port_vring(vhostx_port* port, uint16_t index) { return vring_at(port, index); }

vhostx_vring* vhostx_port_to_guest(vhostx_port* port, uint16_t pair) { return vring_at(port, 2U * pair); }

vhostx_vring* vhostx_port_from_guest(vhostx_port* port, uint16_t pair) { return vring_at(port, 2U * pair + 1); }

int vhostx_port_get_info(const vhostx_port* port, vhostx_port_info* info, size_t size, vhostx_error* error) {
  return run_for_code(error, [&]() -> vhostx::Result<void> {
    write_sized(info_for_c(object(port)->info()), info, size);
    return {};
  });
}

bool vhostx_port_link_up(const vhostx_port* port) { return object(port)->link_up(); }

size_t vhostx_port_get_stats(const vhostx_port* port, uint64_t* from_guest, uint64_t* to_guest, size_t count) {
  const auto& [from, to] = object(port)->stats();
  if (from_guest != nullptr) write_counters(from.values, from_guest, count);
  if (to_guest != nullptr) write_counters(to.values, to_guest, count);
  return std::min(count, from.values.size());
}

void vhostx_port_reset_stats(vhostx_port* port) { object(port)->reset_stats(); }

int vhostx_port_look_at_placement(vhostx_port* port, vhostx_error* error) {
  return run_for_code(error, [&]() -> vhostx::Result<void> {
    object(port)->look_at_placement();
    return {};
  });
}

vhostx_memory_placement* vhostx_port_get_memory_placement(const vhostx_port* port, vhostx_error* error) {
  return run_for_object(error, [&]() -> vhostx::Result<std::unique_ptr<OwnedRegions>> {
    return std::make_unique<OwnedRegions>(object(port)->memory_placement());
  });
}
