// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/subject.hpp"

#include <fmt/format.h>

#include "base/peer_process.hpp"
#include "tools/probe/check/feed.hpp"
#include "tools/probe/check/link.hpp"
#include "tools/probe/device_kind.hpp"

namespace vhostx::tools::probe {

using protocol::FeatureSet;
using protocol::FrontEndRequest;
using protocol::ProtocolFeature;
using protocol::ProtocolFeatureSet;
using protocol::VirtioFeature;

namespace {

void ask(Subject& subject) {
  Link link = Link::open(subject);
  subject.pid = peer_pid(link.fd());
  subject.features = FeatureSet(need(link.get_u64(FrontEndRequest::get_features), "GET_FEATURES"));
  if (!subject.features.has(VirtioFeature::vhost_user_protocol_features)) return;
  subject.protocol =
      ProtocolFeatureSet(need(link.get_u64(FrontEndRequest::get_protocol_features), "GET_PROTOCOL_FEATURES"));
  if (!subject.protocol.has(ProtocolFeature::mq)) return;
  const ProtocolFeatureSet mq{ProtocolFeature::mq};
  need(link.set_u64(FrontEndRequest::set_protocol_features, mq.bits()), "SET_PROTOCOL_FEATURES");
  subject.queue_pairs = need(link.get_u64(FrontEndRequest::get_queue_num), "GET_QUEUE_NUM");
}

}  // namespace

Result<void> explore(Subject& subject, std::optional<bool> net) {
  try {
    ask(subject);
  } catch (const Decided& decided) {
    return Error{ErrorCode::protocol_violation, decided.verdict.seen, 0};
  } catch (const BackEndGone& gone) {
    return Error{ErrorCode::closed, gone.why, 0};
  }
  subject.net = net.value_or(looks_like_net(subject.features, subject.protocol));
  try {
    subject.loops = subject.net && subject.second.empty() && returns_frames(subject);
  } catch (const Decided&) {  // what is wrong with it the checks will say
  } catch (const BackEndGone&) {
  }
  return {};
}

void need_net(const Subject& subject) {
  if (!subject.net) throw Decided{not_applicable("not a network device")};
}

void need_offered(const Subject& subject, VirtioFeature feature) {
  if (!subject.features.has(feature))
    throw Decided{not_applicable("{} is not offered", protocol::feature_name(feature))};
}

void need_offered(const Subject& subject, ProtocolFeature feature) {
  if (!subject.protocol.has(feature))
    throw Decided{not_applicable("{} is not offered", protocol::feature_name(feature))};
}

void need_queue_pairs(const Subject& subject, std::uint64_t pairs) {
  if (subject.queue_pairs < pairs) throw Decided{not_applicable("{} queue pairs", subject.queue_pairs)};
}

}  // namespace vhostx::tools::probe
