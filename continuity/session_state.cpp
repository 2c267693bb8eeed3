// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/session_state.hpp"

#include <algorithm>
#include <cstring>

#include "protocol/codec.hpp"
#include "protocol/features.hpp"

namespace vhostx::continuity {
namespace {

using protocol::FrontEndRequest;
using protocol::Inflight;
using protocol::LogBase;
using protocol::MemoryRegion;
using protocol::Message;
using protocol::ProtocolFeature;
using protocol::U64;
using protocol::VirtioFeature;
using protocol::VringAddress;
using protocol::VringState;

template <typename T>
bool same_bytes(const T& a, const T& b) noexcept {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

std::uint64_t number_in(const Message& message) noexcept { return message.payload_padded_as<U64>().value; }

bool is_same_region(const MemoryRegion& a, const MemoryRegion& b) noexcept {
  return a.guest_address == b.guest_address && a.size == b.size;
}

Message vring_message(FrontEndRequest request, std::size_t ring, std::uint32_t number) {
  return protocol::make_request(request, VringState{static_cast<std::uint32_t>(ring), number});
}

Message fd_message(FrontEndRequest request, std::size_t ring, bool with_fd) {
  return protocol::make_request(request, U64{ring | (with_fd ? 0 : protocol::vring_no_fd)});
}

void add_ring_steps(std::vector<SessionState::Step>& steps, const RingState& ring, std::size_t index) {
  const auto add = [&](Message message, std::vector<Slot> slots = {}) {
    steps.push_back({std::move(message), std::move(slots), 1});
  };
  if (ring.size != 0) add(vring_message(FrontEndRequest::set_vring_num, index, ring.size));
  add(vring_message(FrontEndRequest::set_vring_base, index, ring.base));
  if (!same_bytes(ring.address, VringAddress{}))
    add(protocol::make_request(FrontEndRequest::set_vring_addr, ring.address));
  if (ring.call != 0) add(fd_message(FrontEndRequest::set_vring_call, index, true), {ring.call});
  if (ring.error != 0) add(fd_message(FrontEndRequest::set_vring_err, index, true), {ring.error});
  if (ring.enabled != 0) add(vring_message(FrontEndRequest::set_vring_enable, index, 1));
  if (ring.kick_kind == KickKind::descriptor)
    add(fd_message(FrontEndRequest::set_vring_kick, index, true), {ring.kick});
  if (ring.kick_kind == KickKind::polled) add(fd_message(FrontEndRequest::set_vring_kick, index, false));
  if (ring.kick_kind == KickKind::in_band) add(vring_message(FrontEndRequest::vring_kick, index, 0));
}

}  // namespace

bool operator==(const RingState& a, const RingState& b) noexcept { return same_bytes(a, b); }
bool operator==(const RegionState& a, const RegionState& b) noexcept { return same_bytes(a, b); }

void SessionState::apply(const Message& message, std::span<const Slot> slots, std::uint32_t answer) {
  const Slot slot = slots.empty() ? 0 : slots.front();
  switch (message.front_end_request()) {
    case FrontEndRequest::set_features:
      features = number_in(message);
      features_set = 1;
      break;
    case FrontEndRequest::set_protocol_features:
      protocol_features = number_in(message);
      protocol_features_set = 1;
      break;
    case FrontEndRequest::set_status:
      status = static_cast<std::uint32_t>(number_in(message));
      if (status == 0) reset();
      break;
    case FrontEndRequest::reset_device:
      reset();
      break;
    case FrontEndRequest::reset_owner:
      for (RingState& ring : rings) ring.enabled = 0;
      break;
    case FrontEndRequest::net_set_mtu:
      mtu = static_cast<std::uint32_t>(number_in(message));
      break;
    case FrontEndRequest::set_log_base: {
      const auto where = message.payload_padded_as<LogBase>();
      log_bytes = where.mmap_size;
      log_offset = where.mmap_offset;
      log = slot;
      break;
    }
    case FrontEndRequest::set_log_fd:
      log_signal = slot;
      break;
    case FrontEndRequest::set_backend_req_fd:
      back_end_socket = slot;
      break;
    case FrontEndRequest::set_inflight_fd: {
      const auto where = message.payload_padded_as<Inflight>();
      inflight = {where.mmap_size, where.mmap_offset, where.queue_count, where.queue_size, slot};
      break;
    }
    case FrontEndRequest::set_mem_table:
    case FrontEndRequest::add_mem_reg:
    case FrontEndRequest::rem_mem_reg:
      apply_to_memory(message, slots);
      break;
    default:
      apply_to_ring(message, slot, answer);
  }
}

void SessionState::forget_log() noexcept { log_bytes = log_offset = log = 0; }

void SessionState::apply_to_memory(const Message& message, std::span<const Slot> slots) {
  if (message.front_end_request() == FrontEndRequest::set_mem_table) {
    const auto table = message.payload_padded_as<protocol::MemoryTablePayload>();
    regions.clear();
    for (std::size_t i = 0; i < slots.size(); ++i) regions.push_back({table.regions[i], slots[i], 1});
    return;
  }
  const MemoryRegion region = message.payload_padded_as<protocol::SingleMemoryRegion>().region;
  const auto found = std::find_if(regions.begin(), regions.end(),
                                  [&](const RegionState& one) { return is_same_region(one.region, region); });
  if (message.front_end_request() == FrontEndRequest::add_mem_reg) {
    if (found == regions.end())
      regions.push_back({region, slots.empty() ? 0 : slots.front(), 1});
    else
      ++found->additions;
  } else if (found != regions.end() && --found->additions == 0) {
    regions.erase(found);
  }
}

void SessionState::apply_to_ring(const Message& message, Slot slot, std::uint32_t answer) {
  const FrontEndRequest request = message.front_end_request();
  const auto state = message.payload_padded_as<VringState>();
  const auto kick_kind = slot != 0 ? KickKind::descriptor : KickKind::polled;
  const std::size_t index = state.index & protocol::vring_index_mask;  // the first 32 bits, as of the other payloads
  if (index >= rings.size()) return;
  RingState& ring = rings[index];
  switch (request) {
    case FrontEndRequest::set_vring_num:
      ring.size = state.num;
      break;
    case FrontEndRequest::set_vring_base:
      ring.base = state.num;
      break;
    case FrontEndRequest::get_vring_base:
      ring.base = answer;
      ring.kick_kind = KickKind::unarmed;
      ring.kick = 0;
      break;
    case FrontEndRequest::set_vring_addr:
      ring.address = message.payload_padded_as<VringAddress>();
      break;
    case FrontEndRequest::set_vring_enable:
      ring.enabled = state.num;
      break;
    case FrontEndRequest::set_vring_kick:
      ring.kick = slot;
      ring.kick_kind = kick_kind;
      break;
    case FrontEndRequest::vring_kick:
      if (ring.kick_kind != KickKind::descriptor) ring.kick_kind = KickKind::in_band;
      break;
    case FrontEndRequest::set_vring_call:
      ring.call = slot;
      break;
    case FrontEndRequest::set_vring_err:
      ring.error = slot;
      break;
    default:
      break;  // asks for something, or is done with once it was done
  }
}

// As Device::reset() and RingControl::reset() have it.
void SessionState::reset() noexcept {
  features = features_set = status = mtu = 0;
  for (RingState& ring : rings) ring = {.base = ring.base, .call = ring.call, .error = ring.error};
}

std::vector<Slot> SessionState::slots() const {
  std::vector<Slot> all{log, log_signal, back_end_socket, own_inflight, inflight.file};
  for (const RegionState& region : regions) all.push_back(region.file);
  for (const RingState& ring : rings) all.insert(all.end(), {ring.kick, ring.call, ring.error});
  std::erase(all, 0U);
  return all;
}

std::vector<SessionState::Step> SessionState::steps() const {
  std::vector<Step> steps;
  const auto add = [&](Message message, std::vector<Slot> slots = {}) {
    steps.push_back({std::move(message), std::move(slots), 1});
  };
  if (protocol_features_set != 0)
    add(protocol::make_request(FrontEndRequest::set_protocol_features, U64{protocol_features}));
  if (features_set != 0) add(protocol::make_request(FrontEndRequest::set_features, U64{features}));
  if (back_end_socket != 0) add(protocol::make_request(FrontEndRequest::set_backend_req_fd), {back_end_socket});
  const bool by_slots = protocol::ProtocolFeatureSet(protocol_features).has(ProtocolFeature::configure_mem_slots);
  std::vector<MemoryRegion> table;
  std::vector<Slot> files;
  for (const RegionState& one : regions) {
    table.push_back(one.region);
    files.push_back(one.file);
    if (!by_slots) continue;
    add(protocol::make_request(FrontEndRequest::add_mem_reg, protocol::SingleMemoryRegion{0, one.region}), {one.file});
    steps.back().times = one.additions;
  }
  if (!by_slots && !table.empty()) add(protocol::make_memory_table(table), files);
  if (log != 0) add(protocol::make_request(FrontEndRequest::set_log_base, LogBase{log_bytes, log_offset}), {log});
  if (log_signal != 0) add(protocol::make_request(FrontEndRequest::set_log_fd), {log_signal});
  if (inflight.file != 0)
    add(protocol::make_request(FrontEndRequest::set_inflight_fd,
                               Inflight{inflight.bytes, inflight.offset, inflight.queues, inflight.queue_size}),
        {inflight.file});
  if (mtu != 0) add(protocol::make_request(FrontEndRequest::net_set_mtu, U64{mtu}));
  for (std::size_t i = 0; i < rings.size(); ++i)
    if (rings[i] != RingState{}) add_ring_steps(steps, rings[i], i);
  if (status != 0) add(protocol::make_request(FrontEndRequest::set_status, U64{status}));
  return steps;
}

}  // namespace vhostx::continuity
