// SPDX-License-Identifier: BSD-3-Clause
// PortCore: what any thread may ask of it.
#include <new>
#include <utility>

#include <vhostx/features.hpp>

#include "backend/connection/features.hpp"
#include "backend/port_core.hpp"
#include "numa/kernel.hpp"
#include "numa/look.hpp"

namespace vhostx::backend {
namespace {

bool is_up(const VringCore& vring) noexcept {
  const VringState state = vring.state();
  return vring.size() != 0 && state.enabled && !(state.started && state.broken);
}

}  // namespace

void PortCore::publish_info() noexcept {
  publish_notice();
  PortInfo info;
  info.connected = session_ != nullptr && !farewell_;
  info.standing_by = is_waiting_;
  info.features_offered = offered_features(parts_.options).bits();
  info.protocol_features_offered = offered_protocol_features(parts_.options).bits();
  info.connections = connections_;
  if (session_ != nullptr) {
    session_->device().describe_to(info);
    swap_memory(session_->device().memory());
  }
  const std::lock_guard guard(info_lock_);
  info.last_error.swap(info_.last_error);
  info_ = std::move(info);
}

void PortCore::keep_error(const std::string& text) noexcept {
  const std::lock_guard guard(info_lock_);
  try {
    info_.last_error = text;
  } catch (const std::bad_alloc&) {
    info_.last_error.clear();
  }
}

PortInfo PortCore::info() const {
  const std::lock_guard guard(info_lock_);
  PortInfo info = info_;
  info.releases_pending = parts_.releases->pending();
  for (const auto& vring : parts_.vrings)
    if (vring->size() != 0) ++info.vrings_ready;
  info.queue_pairs_up = queue_pairs_up();
  info.link_up = info.queue_pairs_up != 0;
  const bool tells_status = has_feature(info.protocol_features, ProtocolFeature::status);
  info.driver_ok = tells_status ? (info.status & status_driver_ok) != 0 : info.vrings_ready != 0;
  return info;
}

std::uint16_t PortCore::queue_pairs_up() const noexcept {
  std::uint16_t count = 0;
  for (std::size_t i = 0; i + 1 < parts_.vrings.size(); i += 2)
    if (is_up(*parts_.vrings[i]) && is_up(*parts_.vrings[i + 1])) ++count;
  return count;
}

// Queries up to 64 pages of each region and touches none.
std::vector<RegionPlacement> PortCore::memory_placement() const {
  constexpr std::size_t pages_max = 64;
  std::shared_ptr<const memory::GuestMemory> memory;
  {
    const std::lock_guard guard(info_lock_);
    memory = published_memory_;
  }
  std::vector<RegionPlacement> placement;
  if (memory == nullptr) return placement;
  for (const auto& region : memory->regions()) {
    const auto& description = region->description();
    std::vector<const std::uint8_t*> pages;
    numa::spread_over(region->host(), description.size, pages_max, pages);
    placement.push_back({description.guest.value, description.size, region->page_size(),
                         numa::look_at(numa::kernel(), pages, numa::Untouched::if_there).histogram});
  }
  return placement;
}

PortStats PortCore::stats() const noexcept {
  PortStats sums;
  for (const auto& vring : parts_.vrings)
    (is_from_guest(vring->index()) ? sums.from_guest : sums.to_guest) += vring->stats();
  return sums;
}

}  // namespace vhostx::backend
