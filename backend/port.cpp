// SPDX-License-Identifier: BSD-3-Clause
// The public Port: each call is PortCore's.
#include <cassert>
#include <utility>

#include <vhostx/port.hpp>

#include "backend/connection/features.hpp"
#include "backend/port_core.hpp"

namespace vhostx {

Port::Port(std::shared_ptr<backend::PortCore> core) noexcept : core_(std::move(core)) { core_->set_handle(*this); }

Port::~Port() {
  core_->loop().post_and_wait([this] {
    core_->close(backend::PortCore::Farewell::silent);
    core_->drain();
  });
}

void Port::close() noexcept {
  core_->loop().post_and_wait([this] { core_->close(backend::PortCore::Farewell::silent); });
}

bool Port::disconnect() noexcept {
  bool was_connected = false;
  core_->loop().post_and_wait([&] { was_connected = core_->disconnect(); });
  return was_connected;
}

void Port::confirm_take_over() noexcept {
  core_->loop().post_and_wait([this] { core_->confirm_take_over(); });
}

std::uint64_t Port::offered_features(const PortOptions& options) noexcept {
  return backend::offered_features(options).bits();
}

const PortOptions& Port::options() const noexcept { return core_->options(); }

std::uint16_t Port::vring_count() const noexcept { return core_->vring_count(); }

Vring& Port::vring(std::uint16_t index) noexcept {
  assert(index < vring_count());
  return core_->vring(index).handle();
}

Vring* Port::find_vring(std::uint32_t index) noexcept {
  if (index < vring_count()) return &core_->vring(static_cast<std::uint16_t>(index)).handle();
  core_->missed_vring(index);
  return nullptr;
}

PortInfo Port::info() const { return core_->info(); }

bool Port::link_up() const noexcept { return core_->queue_pairs_up() != 0; }

PortStats Port::stats() const noexcept { return core_->stats(); }

void Port::reset_stats() noexcept {
  for (std::uint16_t index = 0; index < vring_count(); ++index) vring(index).reset_stats();
}

void Port::look_at_placement() {
  core_->loop().post_and_wait([this] { core_->look_at_placement(backend::VringPlacer::Effort::full); });
}

std::vector<RegionPlacement> Port::memory_placement() const { return core_->memory_placement(); }

}  // namespace vhostx
