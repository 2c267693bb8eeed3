// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/migration_rules.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "protocol/describe.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr const char* log_section = "Migration";
constexpr const char* log_base_section = "VHOST_USER_SET_LOG_BASE";
constexpr const char* device_state_section = "Migrating back-end state";
constexpr std::uint64_t page_bytes = 4096;

const RingView* started_ring(const SessionState& state, std::uint32_t& index) noexcept {
  for (const auto& [number, ring] : state.rings) {
    index = number;
    if (!ring.stopped) return &ring;
  }
  return nullptr;
}

std::uint64_t end_of_memory(const SessionState& state) noexcept {
  std::uint64_t end = 0;
  for (const RegionView& view : state.regions) end = std::max(end, view.region.guest_address + view.region.size);
  return end;
}

bool lies_in_guest_memory(const SessionState& state, std::uint64_t address) noexcept {
  return std::any_of(state.regions.begin(), state.regions.end(), [address](const RegionView& view) {
    return address >= view.region.guest_address && address - view.region.guest_address < view.region.size;
  });
}

void judge_log(const SessionState& state, const LogView& log, Findings& findings) {
  const auto& [size, offset] = log.where;
  if (size == 0) violation(findings, "a log of 0 bytes", log_base_section);
  if (offset + size < size)
    violation(findings, "the log goes beyond the last offset", log_base_section);
  else if (log.file.bytes != 0 && offset + size > log.file.bytes)
    violation(findings,
              fmt::format("the log ends {} bytes past the end of its file, which has {}",
                          offset + size - log.file.bytes, log.file.bytes),
              log_base_section);
  if (!log.file.kind.empty() && log.file.page_bytes == 0)
    remark(findings, fmt::format("the log lies in a {}, expected shared memory", text_of(log.file)), log_base_section);
  const std::uint64_t end = end_of_memory(state);
  const std::uint64_t pages = end / page_bytes + (end % page_bytes != 0 ? 1 : 0);
  if (size != 0 && size < pages / 8 + (pages % 8 != 0 ? 1 : 0))
    remark(findings,
           fmt::format("the log is too small: memory ends at {:#x}, the log's last bit is of the page at {:#x}", end,
                       (size * 8 - 1) * page_bytes),
           log_base_section);
}

void take_log(SessionState& state, const Event& event, const Message& request, std::uint64_t number,
              Findings& findings) {
  LogView log{request.payload_padded_as<LogBase>(), event.fds.empty() ? FdFacts{} : event.fds.front(), number};
  judge_log(state, log, findings);
  state.log = std::move(log);
}

void take_transfer(SessionState& state, const Message& request, Findings& findings) {
  const auto what = request.payload_padded_as<DeviceState>();
  if (what.direction > 1)
    violation(findings, fmt::format("direction {}, expected 0 (save) or 1 (load)", what.direction),
              device_state_section);
  if (what.phase != 0)
    violation(findings, fmt::format("phase {}, expected 0 (stopped)", what.phase), device_state_section);
  std::uint32_t ring = 0;
  if (started_ring(state, ring) != nullptr)
    violation(findings, fmt::format("vring {} is started, expected all rings stopped", ring), device_state_section);
  state.device_state = DeviceStateView{.what = what};
}

void take_transfer_answer(SessionState& state, std::uint64_t answer, std::size_t descriptors, Findings& findings) {
  if (!state.device_state) return;
  const std::uint64_t error = answer & 0xff;
  const std::size_t expected = error == 0 && (answer & 0x100) == 0 ? 1 : 0;
  if (error != 0)
    remark(findings,
           fmt::format("the back-end does not {} a state: error {}", verb_of(state.device_state->what), error),
           device_state_section);
  if (descriptors != expected)
    violation(findings, fmt::format("{} descriptors with the reply {:#x}, expected {}", descriptors, answer, expected),
              device_state_section);
  state.device_state->error = error;
}

void take_check(SessionState& state, std::uint64_t result, Findings& findings) {
  if (!state.device_state) return violation(findings, "no state was transferred before", device_state_section);
  state.device_state->result = result;
  if (result != 0)
    remark(findings, fmt::format("the back-end says that the {} failed: {}", verb_of(state.device_state->what), result),
           device_state_section);
}

}  // namespace

void judge_feature_change(const SessionState& state, FeatureSet features, Findings& findings) {
  std::uint32_t ring = 0;
  if (!state.features || started_ring(state, ring) == nullptr) return;
  FeatureSet changed(state.features->bits() ^ features.bits());
  changed.clear(VirtioFeature::vhost_log_all);
  if (!changed.empty())
    remark(
        findings,
        fmt::format("{} changed while vring {} is started, expected VHOST_F_LOG_ALL alone", to_string(changed), ring),
        log_section);
  if (features.has(VirtioFeature::vhost_log_all) && !state.log)
    remark(findings, fmt::format("VHOST_F_LOG_ALL before SET_LOG_BASE, while vring {} is started", ring), log_section);
}

void judge_ring_log(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings) {
  if (!is_logged(ring) || state.regions.empty()) return;
  if (!lies_in_guest_memory(state, ring.addresses->log))
    violation(findings,
              fmt::format("the {} of vring {} is logged at {:#x}, which is no guest address of a region",
                          area_kinds(is_packed(state), 0)[2].name, index, ring.addresses->log),
              log_section);
}

void judge_start_without_log(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings) {
  if (!ring.stopped || !is_logging(state) || state.log) return;
  remark(findings,
         fmt::format("vring {} starts with VHOST_F_LOG_ALL before SET_LOG_BASE: what is written until then must not be "
                     "forgotten",
                     index),
         log_section);
}

bool take_migration_request(SessionState& state, const Event& event, const Message& request, std::uint64_t number,
                            Findings& findings) {
  switch (request.front_end_request()) {
    case Request::set_log_base:
      take_log(state, event, request, number, findings);
      return true;
    case Request::set_log_fd:
      state.log_signal = true;
      return true;
    case Request::set_device_state_fd:
      take_transfer(state, request, findings);
      return true;
    default:
      return false;
  }
}

void take_migration_reply(SessionState& state, const Message& request, const Message& reply, Findings& findings) {
  const std::uint64_t value = reply.payload_padded_as<U64>().value;
  if (request.front_end_request() == Request::set_device_state_fd)
    return take_transfer_answer(state, value, reply.fd_count(), findings);
  take_check(state, value, findings);
}

bool is_logging(const SessionState& state) noexcept {
  return state.features && state.features->has(VirtioFeature::vhost_log_all);
}

bool is_logged(const RingView& ring) noexcept { return ring.addresses && (ring.addresses->flags & vring_log) != 0; }

std::string verb_of(const DeviceState& what) {
  return what.direction <= 1 ? what.direction == 0 ? "save" : "load" : fmt::format("direction {}", what.direction);
}

std::string text_of(const DeviceStateView& view) {
  std::string text = describe(view.what);
  if (view.error.value_or(0) != 0) return text + fmt::format(", refused with error {}", *view.error);
  if (!view.error) return text + ", not answered yet";
  if (!view.result) return text + ", not checked yet";
  return text + (*view.result == 0 ? std::string(", success") : fmt::format(", failed: {}", *view.result));
}

std::string text_of_log(const SessionState& state) {
  std::string text = is_logging(state) ? "on" : "off";
  if (!state.log) text += ", no SET_LOG_BASE";
  if (state.log)
    text +=
        fmt::format(", {} at offset {:#x} of {}: guest memory up to {}", text_of_bytes(state.log->where.mmap_size),
                    state.log->where.mmap_offset, text_of(state.log->file), text_of_bytes(covered_bytes(*state.log)));
  if (state.log_signal) text += "; SET_LOG_FD";
  return text;
}

std::uint64_t covered_bytes(const LogView& log) noexcept {
  return log.where.mmap_size > UINT64_MAX / (8 * page_bytes) ? UINT64_MAX : log.where.mmap_size * 8 * page_bytes;
}

}  // namespace vhostx::tools::probe
