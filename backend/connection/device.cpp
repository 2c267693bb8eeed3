// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/device.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "backend/connection/features.hpp"
#include "backend/connection/unix_socket.hpp"
#include "base/error.hpp"
#include "base/file_kind.hpp"
#include "numa/look.hpp"

namespace vhostx::backend {
namespace {

using protocol::Fact;
using protocol::FeatureSet;
using protocol::ProtocolFeature;
using protocol::ProtocolFeatureSet;
using protocol::VirtioFeature;

constexpr std::uint64_t mtu_min = 68;  // VIRTIO 1.2, 5.1.4.1
constexpr std::uint64_t mtu_max = 65535;
constexpr std::uint8_t status_features_ok = 8;

std::uint64_t number_of(const void* address) noexcept { return reinterpret_cast<std::uintptr_t>(address); }

VringNotice notice_of(const RingControl& ring) noexcept {
  VringNotice notice;
  notice.size = ring.config().size;
  notice.started = ring.started();
  notice.enabled = ring.config().enabled;
  notice.waits_for_kick = ring.waits_for_kick();
  notice.packets = number_of(ring.packets_at());
  if (const auto& log = ring.config().used_log) {
    notice.logged = 1;
    notice.log = log->value;
  }
  if (const RunningVring* const running = ring.running()) {
    const virtqueue::AnyLayout& layout = running->layout;
    const auto [descriptors, avail, used] = layout.areas();
    notice.descriptors = number_of(descriptors.data);
    notice.avail = number_of(avail.data);
    notice.used = number_of(used.data);
    notice.size = layout.size();
  }
  if (const VringFault* const fault = ring.fault())
    std::string_view(to_string(fault->cause)).copy(notice.fault.data(), notice.fault.size() - 1);
  return notice;
}

}  // namespace

Device::Device(PortHost& port, const PortParts& parts, SessionKeeping* keeping)
    : port_(port),
      parts_(parts),
      keeping_(keeping),
      features_offered_(offered_features(parts.options)),
      protocol_offered_(offered_protocol_features(parts.options)),
      memory_timer_(port.executor()),
      memory_({.regions_max = parts.options.memory_slots_max, .bytes_max = parts.memory_bytes_max}, parts.attention,
              parts.touch_budget),
      translations_(parts.options, numa::kernel()),
      state_transfer_(parts) {
  rings_.reserve(parts.vrings.size());
  for (const auto& vring : parts.vrings)
    rings_.push_back(std::make_unique<RingControl>(static_cast<RingHost&>(*this), port, *vring));
}

protocol::Agreement Device::agreement(const RingControl* ring) const noexcept {
  protocol::Agreement agreement;
  agreement.features_offered = features_offered_;
  agreement.protocol_features_offered = protocol_offered_;
  agreement.protocol_features = protocol_features_;
  agreement.facts.set(Fact::backend_socket, backend_channel_ != nullptr || backend_socket_);
  if (ring != nullptr) {
    agreement.facts.set(Fact::ring_configured, ring->config().configured());
    agreement.facts.set(Fact::ring_started, ring->started());
  }
  return agreement;
}

Result<RingControl*> Device::ring(std::uint64_t index) {
  if (index < rings_.size()) {
    rings_named_ = std::max(rings_named_, static_cast<std::uint16_t>(index + 1));
    ring_to_note_ = static_cast<std::size_t>(index);
    return rings_[static_cast<std::size_t>(index)].get();
  }
  return protocol_violation("vring {}: expected 0 to {}", index, rings_.size() - 1);
}

// QEMU sends the same features again for each queue pair, while the first pairs run already; and LOG_ALL alone changes
// when a guest migrates.
Result<void> Device::set_features(FeatureSet features) {
  if (auto good = check_features(features, features_offered_); !good) return good;
  const bool same = features_set_ && features == features_;
  const FeatureSet log_all{VirtioFeature::vhost_log_all};
  const bool same_but_log = features_set_ && features.without(log_all) == features_.without(log_all);
  if (!same_but_log && any_ring_started())
    return protocol_violation("SET_FEATURES {:#x} while rings run with {:#x}, expected GET_VRING_BASE first",
                              features.bits(), features_.bits());
  if (auto good = switch_log(features); !good) return good;
  features_ = features;
  features_set_ = true;
  if (!same_but_log) port_.emit(FeaturesNegotiated{features.bits()});
  // vhost-user "Ring states": a front-end that does not take bit 30 knows no SET_VRING_ENABLE. One that does is not
  // disabled by it: the rings began disabled, and QEMU enables them before SET_FEATURES.
  if (!features.has(VirtioFeature::vhost_user_protocol_features))
    for (const auto& ring : rings_) ring->enable(true);
  if (!same) environment_changed();
  return {};
}

Result<void> Device::set_protocol_features(ProtocolFeatureSet features) {
  if (auto good = check_protocol_features(features, protocol_offered_); !good) return good;
  if (features != protocol_features_ && any_ring_started())
    return protocol_violation("SET_PROTOCOL_FEATURES {:#x} while rings run with {:#x}", features.bits(),
                              protocol_features_.bits());
  const bool by_guest_addresses = features.has(ProtocolFeature::gpa_addresses);
  if (auto good = memory_.count_by_guest_addresses(by_guest_addresses); !good)
    return make_error(good.error().code, "SET_PROTOCOL_FEATURES {:#x}: {}", features.bits(), good.error().message);
  protocol_features_ = features;
  return {};
}

Result<void> Device::change_memory(Result<void> (MemoryTable::*change)(protocol::Message&),
                                   protocol::Message& message) {
  if (auto done = (memory_.*change)(message); !done) return done;
  const auto& memory = memory_.current();
  MemoryChanged event;
  if (memory != nullptr) event = {static_cast<std::uint32_t>(memory->regions().size()), memory->bytes()};
  map_for_devices();
  port_.emit(event);
  environment_changed();
  return {};
}

void Device::map_for_devices() {
  if (!parts_.options.zero_copy) return;
  if (dma_ != nullptr && &dma_->memory() == memory_.current().get()) return;
  const auto before = std::exchange(dma_, nullptr);
  if (memory_.current() == nullptr) return;
  dma_ = port_.map_for_devices(memory_.current(), before.get());
  if (dormant_) return;  // what it says is true only if the connection goes on
  if (dma_ == nullptr) return parts_.log.debug("zero copy: packets are copied while mbufs keep older memory");
  if (dma_->reason().empty() || (before != nullptr && before->reason() == dma_->reason())) return;
  parts_.log.info("zero copy: devices reach {} of {} memory regions: {}", dma_->regions_mapped(), dma_->regions(),
                  dma_->reason());
}

void Device::environment_changed() {
  for (const auto& ring : rings_) ring->environment_changed();
}

Result<void> Device::set_mtu(std::uint64_t mtu) {
  if (mtu < mtu_min || mtu > mtu_max)
    return protocol_violation("NET_SET_MTU {}: expected {} to {}", mtu, mtu_min, mtu_max);
  mtu_ = static_cast<std::uint16_t>(mtu);
  port_.emit(MtuSet{mtu_});
  environment_changed();
  return {};
}

Result<void> Device::set_status(std::uint64_t status) {
  if (status > 0xff) return protocol_violation("SET_STATUS {:#x}: expected 0 to 0xff", status);
  if (status == 0) reset();
  status_ = static_cast<std::uint8_t>(status);
  // VIRTIO 1.2, 3.1.1: a device that has not accepted features does not show FEATURES_OK.
  if (!features_set_) status_ = static_cast<std::uint8_t>(status_ & ~status_features_ok);
  port_.emit(StatusSet{status_});
  if ((status_ & status_driver_ok) != 0 && !dormant_) expect_memory("the driver is ready (DRIVER_OK)");
  return {};
}

Result<void> Device::set_backend_socket(UniqueFd socket) {
  const FileKind kind = file_kind(socket.get());
  if (kind != FileKind::socket)
    return protocol_violation("SET_BACKEND_REQ_FD: the descriptor is a {}, expected a socket", to_string(kind));
  if (auto good = check_connected_stream(socket.get()); !good)
    return make_error(good.error().code, "SET_BACKEND_REQ_FD: {}", good.error().message);
  if (leads_back_here(socket.get(), parts_.options.socket_path))
    return protocol_violation(
        "SET_BACKEND_REQ_FD: the socket is a connection to this process, expected one of its own");
  if (dormant_)
    backend_socket_ = std::move(socket);
  else
    open_backend_channel(std::move(socket));
  return {};
}

void Device::announce(std::uint64_t mac) {
  parts_.vrings[1]->announce(mac);
  port_.emit(RarpRequested{mac_of(mac)});
}

Result<UniqueFd> Device::begin_state_transfer(const protocol::DeviceState& what) {
  const auto stopped = check_no_ring_runs();
  auto begun = stopped ? state_transfer_.begin(what) : stopped.error();
  if (!begun) parts_.log.warning("refused: SET_DEVICE_STATE_FD: {}", begun.error().message);
  return begun;
}

Result<void> Device::check_state_transfer() {
  auto good = check_no_ring_runs();
  if (good) good = state_transfer_.check();
  if (!good) parts_.log.warning("CHECK_DEVICE_STATE: the state did not move: {}", good.error().message);
  return good;
}

Result<void> Device::check_no_ring_runs() const {
  if (!any_ring_started()) return {};
  return protocol_violation("rings run, expected GET_VRING_BASE first");
}

std::uint32_t Device::stop(RingControl& ring) {
  const std::uint32_t base = ring.stop(RingControl::Stop::by_front_end);
  forget_log_of_stopped_rings();
  return base;
}

void Device::reset() {
  for (const auto& ring : rings_) ring->reset();
  forget_log_of_stopped_rings();
  features_ = {};
  features_set_ = false;
  mtu_ = 0;
  status_ = 0;
  memory_timer_.cancel();
}

void Device::stop_rings() {
  for (const auto& ring : rings_) ring->stop(RingControl::Stop::with_session);
  for (const auto& vring : parts_.vrings) vring->set_enabled(false);
  parts_.vrings[1]->forget_announcement();
}

void Device::lend_again() {
  if (dma_ != nullptr || memory_.current() == nullptr) return;
  map_for_devices();
  if (dma_ != nullptr) environment_changed();
}

std::optional<Error> Device::memory_lost() const {
  std::optional<Error> lost = memory_.lost();
  if (!lost && inflight_ != nullptr && inflight_->is_lost())
    lost = protocol_violation("the in-flight area is lost: its file was shrunk, or had no page to give (SIGBUS)");
  for (const auto& ring : rings_)
    if (!lost) lost = ring->memory_lost();
  return lost;
}

void Device::look_at_placement(VringPlacer::Effort effort) {
  NodeHistogram nodes;
  for (const auto& ring : rings_) {
    ring->look_at_placement(effort);
    if (const int node = ring->numa_node(); node != no_node) numa::count_on(nodes, node);
  }
  translations_.follow(memory_.current(), nodes);
}

void Device::describe_to(PortInfo& info) const noexcept {
  info.features = features_.bits();
  info.protocol_features = protocol_features_.bits();
  const auto& memory = memory_.current();
  info.memory_regions = memory == nullptr ? 0 : static_cast<std::uint32_t>(memory->regions().size());
  info.memory_bytes = memory == nullptr ? 0 : memory->bytes();
  if (dma_ != nullptr) {
    info.memory_regions_for_dma = static_cast<std::uint32_t>(dma_->regions_mapped());
    try {
      info.dma_problem = dma_->reason();
    } catch (const std::bad_alloc&) {  // the number says that there is one
    }
  }
  info.mtu = mtu_;
  info.status = status_;
  info.vrings_named = rings_named_;
}

// A message that names a ring changes no other one: with 128 queue pairs there are thousands of them.
void Device::describe_to(PortNotice& notice, std::span<VringNotice> vrings) noexcept {
  notice.features = features_.bits();
  notice.log = log_ == nullptr ? 0 : number_of(log_->data());
  notice.log_bytes = log_ == nullptr ? 0 : log_->bytes();
  notice.log_offset = log_ == nullptr ? 0 : log_->offset();
  if (const auto ring = std::exchange(ring_to_note_, std::nullopt)) {
    vrings[*ring] = notice_of(*rings_[*ring]);
    return;
  }
  for (std::size_t i = 0; i < vrings.size() && i < rings_.size(); ++i) vrings[i] = notice_of(*rings_[i]);
}

bool Device::any_ring_started() const noexcept {
  return std::any_of(rings_.begin(), rings_.end(), [](const auto& ring) { return ring->started(); });
}

std::optional<RingEnvironment> Device::ring_environment() const {
  if (dormant_ || !features_set_ || memory_.current() == nullptr || waits_for_log()) return std::nullopt;
  return RingEnvironment{.memory = memory_.current(),
                         .dma = dma_,
                         .log = features_.has(VirtioFeature::vhost_log_all) ? log_ : nullptr,
                         .log_signal = log_signal_,
                         .inflight = inflight_,
                         .own_inflight = keeping_ == nullptr ? nullptr : keeping_->own_inflight(),
                         .lends = parts_.options.zero_copy,
                         .features = features_,
                         .mtu = mtu_,
                         .call_in_band = notifies_in_band()};
}

virtqueue::RingKind Device::ring_kind() const noexcept { return kind_of(features_); }

bool Device::notifies_in_band() const noexcept { return protocol_features_.has(ProtocolFeature::inband_notifications); }

void Device::send_call(std::uint16_t index) {
  if (backend_channel_ != nullptr) backend_channel_->call(index);
}

void Device::send_error(std::uint16_t index) {
  if (backend_channel_ != nullptr) backend_channel_->error(index);
}

void Device::forget_requests(std::uint16_t index) {
  if (backend_channel_ != nullptr) backend_channel_->forget(index);
}

void Device::kicked_empty(std::uint16_t index) {
  if (std::exchange(empty_reported_, true)) return;
  parts_.log.warning(
      "vring {}: kicked, but nothing is available in the ring, and its memory is all zero: is the guest's memory "
      "shared (QEMU: share=on)?",
      index);
}

void Device::kicked_too_soon(std::uint16_t index) { expect_memory(fmt::format("vring {} was kicked", index)); }

// QEMU skips memory that is not shared, and says nothing. Memory may come a little later.
void Device::expect_memory(std::string sign) {
  constexpr std::chrono::seconds soon{1};
  if (memory_.current() != nullptr || no_memory_reported_) return;
  memory_timer_.start(soon, [this, sign = std::move(sign)] {
    if (memory_.current() != nullptr || std::exchange(no_memory_reported_, true)) return;
    parts_.log.warning(
        "{}, but the front-end has shared no memory: is the guest's memory shared (QEMU: memory-backend-memfd with "
        "share=on)?",
        sign);
  });
}

}  // namespace vhostx::backend
