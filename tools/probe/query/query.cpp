// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/query/query.hpp"

#include <cstring>

#include <fmt/format.h>

#include "base/error.hpp"
#include "protocol/codec.hpp"
#include "tools/probe/device_kind.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr std::uint32_t config_bytes = sizeof ConfigSpace::bytes;  // of a network device up to and with the MTU

/// One after the other; after a connection that has ended nothing more is asked.
class Questions {
 public:
  explicit Questions(FrontEnd& front_end) noexcept : front_end_(front_end) {}

  template <typename T, typename Ask>
  void ask(Answer<T>& answer, Ask question) {
    answer.asked = true;
    if (!lost_.empty()) {
      answer.problem = lost_;
      return;
    }
    auto result = question(front_end_);
    if (result)
      answer.value = *std::move(result);
    else
      answer.problem = result.error().message;
    if (!result && result.error().code != ErrorCode::protocol_violation) lost_ = "not asked: " + answer.problem;
  }

 private:
  FrontEnd& front_end_;
  std::string lost_;
};

auto number(Request request) {
  return [request](FrontEnd& front_end) { return front_end.get_u64(request); };
}

Result<ConfigSpace> ask_config(FrontEnd& front_end) {
  Config request;
  request.header.size = config_bytes;
  const auto bytes = std::as_bytes(std::span(&request, 1)).first(sizeof(ConfigHeader) + config_bytes);
  const Header header{static_cast<std::uint32_t>(Request::get_config), Header::version_1,
                      static_cast<std::uint32_t>(bytes.size())};
  const auto reply = front_end.ask(make_message(header, bytes));
  if (!reply) return reply.error();
  const auto config = reply->payload_padded_as<Config>();
  if (reply->payload().size() < sizeof(ConfigHeader) + config_bytes)
    return make_error(ErrorCode::protocol_violation, "GET_CONFIG was answered with {} bytes, expected {}",
                      reply->payload().size(), sizeof(ConfigHeader) + config_bytes);
  ConfigSpace space;
  std::memcpy(space.bytes.data(), config.bytes.data(), space.bytes.size());
  return space;
}

// The specification has questions wait for their feature to be negotiated: those that are asked, and no other.
Result<ProtocolFeatureSet> agree_on_protocol(FrontEnd& front_end) {
  const auto offered = front_end.get_u64(Request::get_protocol_features);
  if (!offered) return offered.error();
  const ProtocolFeatureSet wanted{ProtocolFeature::mq, ProtocolFeature::configure_mem_slots, ProtocolFeature::status,
                                  ProtocolFeature::config};
  const ProtocolFeatureSet both(*offered & wanted.bits());
  if (auto sent = front_end.set_u64(Request::set_protocol_features, both.bits()); !sent) return sent.error();
  return ProtocolFeatureSet(*offered);
}

void ask_what_is_offered(Questions& questions, ProtocolFeatureSet offered, BackEndFacts& facts) {
  if (offered.has(ProtocolFeature::mq)) questions.ask(facts.queue_pairs, number(Request::get_queue_num));
  if (offered.has(ProtocolFeature::configure_mem_slots))
    questions.ask(facts.memory_slots, number(Request::get_max_mem_slots));
  if (offered.has(ProtocolFeature::status)) questions.ask(facts.status, number(Request::get_status));
  if (offered.has(ProtocolFeature::config)) questions.ask(facts.config, ask_config);
}

}  // namespace

NetConfig ConfigSpace::as_net() const noexcept {
  NetConfig net;
  std::memcpy(net.mac.data(), bytes.data(), net.mac.size());
  std::memcpy(&net.status, bytes.data() + 6, 2);
  std::memcpy(&net.queue_pairs_max, bytes.data() + 8, 2);
  std::memcpy(&net.mtu, bytes.data() + 10, 2);
  return net;
}

Result<BackEndFacts> query(FrontEnd& front_end) {
  BackEndFacts facts;
  const auto features = front_end.get_u64(Request::get_features);
  if (!features) return features.error();
  facts.features = FeatureSet(*features);
  facts.net = looks_like_net(facts.features, {});
  if (!facts.features.has(VirtioFeature::vhost_user_protocol_features)) return facts;
  Questions questions(front_end);
  questions.ask(facts.protocol_features, agree_on_protocol);
  const auto offered = facts.protocol_features.value.value_or(ProtocolFeatureSet());
  ask_what_is_offered(questions, offered, facts);
  facts.net = looks_like_net(facts.features, offered);
  facts.findings = find_conflicts(facts.features, offered);
  return facts;
}

std::vector<std::string> find_conflicts(FeatureSet features, ProtocolFeatureSet offered) {
  using P = ProtocolFeature;
  std::vector<std::string> findings;
  const auto needs = [&](P feature, ProtocolFeatureSet needed) {
    if (!offered.has(feature) || offered.has_all(needed)) return;
    findings.push_back(fmt::format("{} is offered without {}, which it needs", feature_name(feature),
                                   to_string(needed.without(offered))));
  };
  needs(P::inband_notifications, {P::backend_req, P::reply_ack});
  needs(P::backend_send_fd, {P::backend_req});
  needs(P::get_vring_base_inflight, {P::inflight_shmfd});
  needs(P::get_vring_base_skip_drain, {P::get_vring_base_inflight, P::inflight_shmfd});
  if (offered.has(P::mtu) && !features.has(VirtioFeature::net_mtu))
    findings.push_back("NET_SET_MTU is offered without VIRTIO_NET_F_MTU, which it needs");
  if (offered.has_all({P::pagefault, P::configure_mem_slots}))
    findings.push_back(
        "PAGEFAULT and CONFIGURE_MEM_SLOTS are both offered: text newer than QEMU 11.1 forbids post-copy with both");
  if (offered.has(P::gpa_addresses))
    findings.push_back("bit 21 is GPA_ADDRESSES; back-ends with rust-vmm's vhost 0.16 mean SHMEM by it");
  return findings;
}

}  // namespace vhostx::tools::probe
