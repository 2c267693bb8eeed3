// SPDX-License-Identifier: BSD-3-Clause
// What is agreed, and in which order it may be asked.
#include <fmt/ranges.h>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"
#include "tools/probe/query/query.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

Verdict features_reply(const Subject& subject) {
  Link link = Link::open(subject);
  const RawReply reply = link.exchange(make_request(Request::get_features));
  if (reply.payload.size() != sizeof(U64)) return failed("{} bytes, 8 expected", reply.payload.size());
  if (reply.header.needs_reply()) return failed("flags {:#x}: the reply asks for a reply", reply.header.flags);
  if (!reply.fds.empty()) return failed("{} descriptors came along", reply.fds.size());
  return passed("{:#x}", reply.number());
}

Verdict features_stable(const Subject& subject) {
  Link link = Link::open(subject);
  const auto again = link.exchange(make_request(Request::get_features)).number();
  if (again == subject.features.bits()) return passed("{:#x} on each connection", again);
  return failed("{:#x} now, {:#x} before", again, subject.features.bits());
}

Verdict offers_version_1(const Subject& subject) {
  if (subject.features.has(VirtioFeature::version_1)) return passed("offered");
  return failed("not offered");
}

Verdict offers_go_together(const Subject& subject) {
  std::vector<std::string> conflicts;
  for (const auto& finding : find_conflicts(subject.features, subject.protocol))
    if (finding.find("needs") != std::string::npos) conflicts.push_back(finding);
  if (conflicts.empty()) return passed("nothing is offered without what it needs");
  return failed("{}", fmt::join(conflicts, "; "));
}

struct Dependency {
  VirtioFeature feature;
  FeatureSet either;
};

// VIRTIO 1.2, 5.1.3.1.
Verdict net_offers_go_together(const Subject& subject) {
  using V = VirtioFeature;
  need_net(subject);
  const FeatureSet guest_tso{V::net_guest_tso4, V::net_guest_tso6};
  const FeatureSet host_tso{V::net_host_tso4, V::net_host_tso6};
  for (const auto& [feature, either] :
       {Dependency{V::net_guest_tso4, {V::net_guest_csum}}, Dependency{V::net_guest_tso6, {V::net_guest_csum}},
        Dependency{V::net_guest_ufo, {V::net_guest_csum}}, Dependency{V::net_host_tso4, {V::net_csum}},
        Dependency{V::net_host_tso6, {V::net_csum}}, Dependency{V::net_host_ufo, {V::net_csum}},
        Dependency{V::net_guest_ecn, guest_tso}, Dependency{V::net_host_ecn, host_tso},
        Dependency{V::net_ctrl_rx, {V::net_ctrl_vq}}, Dependency{V::net_ctrl_vlan, {V::net_ctrl_vq}}})
    if (subject.features.has(feature) && (subject.features & either).empty())
      return failed("{} is offered without {}", feature_name(feature), to_string(either));
  return passed("nothing is offered without what it needs");
}

Verdict protocol_before_set_features(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Link link = Link::open(subject);
  const RawReply reply = link.exchange(make_request(Request::get_protocol_features));
  if (reply.payload.size() != sizeof(U64)) return failed("{} bytes, 8 expected", reply.payload.size());
  return passed("{:#x}, before SET_OWNER and SET_FEATURES", reply.number());
}

Verdict protocol_without_acknowledging(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Link link = Link::open(subject);
  link.put(make_request(Request::set_owner));
  link.put(make_request(Request::set_features, U64{FeatureSet{VirtioFeature::version_1}.bits()}));
  const RawReply reply = link.exchange(make_request(Request::get_protocol_features));
  return passed("{:#x}, though SET_FEATURES left bit 30 out", reply.number());
}

Verdict no_protocol_features(const Subject& subject) {
  Link link = Link::open(subject);
  link.put(make_request(Request::set_owner));
  link.put(make_request(Request::set_features, U64{FeatureSet{VirtioFeature::version_1}.bits()}));
  link.sync("SET_FEATURES without bit 30");
  return passed("the connection goes on");
}

Verdict empty_protocol_features(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_user_protocol_features);
  Link link = Link::open(subject);
  link.put(make_request(Request::set_protocol_features, U64{0}));
  link.put(make_request(Request::set_owner));
  link.sync("SET_PROTOCOL_FEATURES 0");
  return passed("the connection goes on");
}

Verdict all_that_is_offered(const Subject& subject) {
  Link link = Link::open(subject);
  const FeatureSet every = subject.features;
  link.put(make_request(Request::set_owner));
  if (subject.protocol.has(ProtocolFeature::reply_ack)) link.negotiate_protocol({ProtocolFeature::reply_ack});
  // What changes the ring's layout or needs more requests is left out.
  const FeatureSet taken = every.without({VirtioFeature::ring_packed, VirtioFeature::iommu_platform});
  link.change(make_request(Request::set_features, U64{taken.bits()}));
  link.sync("SET_FEATURES");
  return passed("{:#x} taken", taken.bits());
}

Verdict features_twice(const Subject& subject) {
  Guest guest(subject, {});
  guest.link().change(make_request(Request::set_features, U64{guest.features().bits()}));
  guest.link().sync("SET_FEATURES, twice");
  return passed("the same features twice");
}

Verdict ack_outlives_set_features(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, {});
  const auto status = guest.link().ack(make_request(Request::set_features, U64{guest.features().bits()}));
  if (status != 0) return failed("status {}", status);
  const auto again = guest.link().ack(make_request(Request::set_features, U64{guest.features().bits()}));
  return again == 0 ? passed("acknowledged each time") : failed("status {}", again);
}

Verdict queue_number(const Subject& subject) {
  need_offered(subject, ProtocolFeature::mq);
  return subject.queue_pairs >= 1 ? passed("{}", subject.queue_pairs) : failed("0");
}

Verdict multiqueue_needs_mq(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::net_mq);
  if (!subject.protocol.has(ProtocolFeature::mq)) return failed("VIRTIO_NET_F_MQ is offered, the protocol's MQ is not");
  return passed("{} queue pairs", subject.queue_pairs);
}

}  // namespace

void add_negotiation_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("negotiation.") + id, section, title, run});
  };
  const char* const types = "Front-end message types";
  const char* const feature_bits = "Feature bits";
  add("features-reply", "Header", "GET_FEATURES is answered with 8 bytes, version 1 and the reply flag",
      features_reply);
  add("features-stable", types, "GET_FEATURES has the same answer on each connection", features_stable);
  add("version-1", "VIRTIO 1.2, 6.2", "VIRTIO_F_VERSION_1 is offered", offers_version_1);
  add("offers-go-together", "Protocol features", "no protocol feature is offered without what it needs",
      offers_go_together);
  add("net-offers-go-together", "VIRTIO 1.2, 5.1.3.1", "no network feature is offered without what it needs",
      net_offers_go_together);
  add("protocol-features-first", types, "GET_PROTOCOL_FEATURES is answered before SET_FEATURES",
      protocol_before_set_features);
  add("protocol-features-unacknowledged", types,
      "GET_PROTOCOL_FEATURES needs the offer of bit 30, not its acknowledgement", protocol_without_acknowledging);
  add("no-protocol-features", feature_bits, "a front-end may leave bit 30 out", no_protocol_features);
  add("empty-protocol-features", types, "SET_PROTOCOL_FEATURES may name none", empty_protocol_features);
  add("all-features", types, "all features that are offered may be taken", all_that_is_offered);
  add("features-twice", types, "SET_FEATURES may come again", features_twice);
  add("ack-outlives-set-features", "VHOST_USER_PROTOCOL_F_REPLY_ACK", "acknowledgements go on after SET_FEATURES",
      ack_outlives_set_features);
  add("queue-number", "Multiple queue support", "GET_QUEUE_NUM says at least 1", queue_number);
  add("multiqueue", "Multiple queue support", "VIRTIO_NET_F_MQ comes with the protocol's MQ", multiqueue_needs_mq);
}

}  // namespace vhostx::tools::probe
