// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/rules.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tools/probe/session/migration_rules.hpp"
#include "tools/probe/session/rings_rules.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr const char* negotiation = "Communication";

std::uint64_t number_in(const Message& message) { return message.payload_padded_as<U64>().value; }

void judge_bits(std::uint64_t chosen, std::optional<std::uint64_t> offered, const char* what,
                std::string (*names)(std::uint64_t), Findings& findings) {
  if (!offered || (chosen & ~*offered) == 0) return;
  violation(findings, fmt::format("{} {} were not offered", what, names(chosen & ~*offered)), negotiation);
}

std::string feature_names(std::uint64_t bits) { return to_string(FeatureSet(bits)); }
std::string protocol_feature_names(std::uint64_t bits) { return to_string(ProtocolFeatureSet(bits)); }

void take_features(SessionState& state, std::uint64_t bits, Findings& findings) {
  const auto offered = state.features_offered ? std::optional(state.features_offered->bits()) : std::nullopt;
  judge_bits(bits, offered, "features", feature_names, findings);
  judge_feature_change(state, FeatureSet(bits), findings);
  state.features = FeatureSet(bits);
  // vhost-user "Ring states": without bit 30 rings are enabled from the begin.
  if (state.features->has(VirtioFeature::vhost_user_protocol_features)) return;
  for (auto& [index, ring] : state.rings) ring.enabled = true;
}

void judge_needs(ProtocolFeatureSet chosen, ProtocolFeature feature, ProtocolFeatureSet needed, Findings& findings) {
  if (!chosen.has(feature) || chosen.has_all(needed)) return;
  violation(
      findings,
      fmt::format("{} is chosen without {}, which it needs", feature_name(feature), to_string(needed.without(chosen))),
      "Protocol features");
}

void take_protocol_features(SessionState& state, std::uint64_t bits, Findings& findings) {
  using P = ProtocolFeature;
  const auto offered =
      state.protocol_features_offered ? std::optional(state.protocol_features_offered->bits()) : std::nullopt;
  judge_bits(bits, offered, "protocol features", protocol_feature_names, findings);
  const auto before = state.protocol_features.value_or(ProtocolFeatureSet());
  state.protocol_features = ProtocolFeatureSet(bits);
  if (state.protocol_features->has(P::inband_notifications) &&
      !state.protocol_features->has_all({P::backend_req, P::reply_ack}))
    violation(findings, "INBAND_NOTIFICATIONS is chosen without REPLY_ACK and BACKEND_REQ, which it needs",
              "In-band notifications");
  judge_needs(*state.protocol_features, P::get_vring_base_inflight, {P::inflight_shmfd}, findings);
  judge_needs(*state.protocol_features, P::get_vring_base_skip_drain, {P::get_vring_base_inflight, P::inflight_shmfd},
              findings);
  // What the addresses of memory that is there mean would change.
  if (before.has(P::gpa_addresses) != state.protocol_features->has(P::gpa_addresses) && !state.regions.empty())
    remark(findings, "GPA_ADDRESSES changes while there is memory", "Protocol features");
}

// QEMU did so before the text forbade it.
void judge_post_copy(const SessionState& state, const Message& request, Findings& findings) {
  const auto id = request.front_end_request();
  if (id != Request::postcopy_advise && id != Request::postcopy_listen && id != Request::postcopy_end) return;
  if (state.protocol_features && state.protocol_features->has(ProtocolFeature::configure_mem_slots))
    remark(findings, "post-copy with CONFIGURE_MEM_SLOTS negotiated, which text newer than QEMU 11.1 forbids",
           "VHOST_USER_PROTOCOL_F_PAGEFAULT");
}

void take_owner(SessionState& state, Findings& findings) {
  if (state.owner) violation(findings, "SET_OWNER for the second time", "VHOST_USER_SET_OWNER");
  state.owner = true;
}

void reset_rings(SessionState& state) {
  for (auto& [index, ring] : state.rings) ring = RingView{};
}

}  // namespace

bool judge_form(const Event& event, const Message& message, Findings& findings) {
  if (event.cut_off) {
    violation(findings,
              fmt::format("the connection ended within it: {} of {} bytes of payload came", event.payload.size(),
                          event.header.size),
              "Message Specification");
    return false;
  }
  if (event.fds.size() > fds_max)
    violation(findings, fmt::format("{} descriptors, expected at most {}", event.fds.size(), fds_max), negotiation);
  if (event.header.size > payload_bytes_max) {
    violation(findings, fmt::format("{} bytes of payload, expected at most {}", event.header.size, payload_bytes_max),
              "Message Specification");
    return false;
  }
  const auto row = check_header(event.way, event.header);
  const Result<void> checked = row ? check_message(event.way, message) : row.error();
  if (checked) return true;
  violation(findings, checked.error().message, "Message Specification");
  return false;
}

void judge_legality(const SessionState& state, const Message& request, Findings& findings) {
  const RequestRow* const row = find_front_end_row(request.request());
  if (row == nullptr) {
    remark(findings, fmt::format("request {} is not known to this version", request.request()), "Message types");
    return;
  }
  // Where the observer came too late to see an offer, it does not hold its absence against anybody.
  Agreement agreement;
  agreement.features_offered = state.features_offered.value_or(FeatureSet(~std::uint64_t{0}));
  agreement.protocol_features_offered = state.protocol_features_offered.value_or(ProtocolFeatureSet());
  agreement.protocol_features = state.protocol_features.value_or(ProtocolFeatureSet());
  set_ring_facts(state, request, agreement.facts);
  if (auto legal = check_legal(*row, agreement); !legal)
    violation(findings, legal.error().message, std::string("VHOST_USER_") + std::string(row->name));
  judge_post_copy(state, request, findings);
  if (request.needs_reply() && !agreement.protocol_features.has(ProtocolFeature::reply_ack))
    violation(findings, "need_reply is set without REPLY_ACK negotiated", "VHOST_USER_PROTOCOL_F_REPLY_ACK");
}

void take_request(SessionState& state, const Event& event, const Message& request, std::uint64_t number,
                  Findings& findings) {
  switch (request.front_end_request()) {
    case Request::set_features:
      return take_features(state, number_in(request), findings);
    case Request::set_protocol_features:
      return take_protocol_features(state, number_in(request), findings);
    case Request::set_owner:
      return take_owner(state, findings);
    case Request::reset_owner:
      state.owner = false;
      return;
    case Request::reset_device:
      return reset_rings(state);
    case Request::set_status:
      state.status = number_in(request);
      return;
    case Request::set_backend_req_fd:
      state.back_end_channel = true;
      return;
    default:
      if (!take_memory_request(state, event, request, number, findings) &&
          !take_migration_request(state, event, request, number, findings))
        take_ring_request(state, event, request, findings);
  }
}

void take_reply(SessionState& state, const Message& request, const Message& reply, Findings& findings) {
  const std::uint64_t value = number_in(reply);
  switch (request.front_end_request()) {
    case Request::get_features:
      state.features_offered = FeatureSet(value);
      return;
    case Request::get_protocol_features:
      state.protocol_features_offered = ProtocolFeatureSet(value);
      return;
    case Request::get_queue_num:
      state.queue_pairs = value;
      return;
    case Request::get_max_mem_slots:
      state.memory_slots = value;
      return;
    case Request::get_status:
      state.status = value;
      return;
    case Request::get_vring_base:
    case Request::get_vring_base_skip_drain:
      return take_base(state, request, reply, findings);
    case Request::set_device_state_fd:
    case Request::check_device_state:
      return take_migration_reply(state, request, reply, findings);
    default:
      return;
  }
}

}  // namespace vhostx::tools::probe
