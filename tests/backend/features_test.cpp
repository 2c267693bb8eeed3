// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/features.hpp"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace vhostx::backend {
namespace {

using V = protocol::VirtioFeature;
using P = protocol::ProtocolFeature;
using protocol::FeatureSet;
using protocol::ProtocolFeatureSet;

/// Of a port that asks for all that can be asked for.
FeatureSet offered_without(FeatureSet masked, std::uint16_t pairs = 1) {
  PortOptions options;
  options.features_extra = features_on_request().bits();
  options.features_masked = masked.bits();
  options.queue_pairs_max = pairs;
  return offered_features(options);
}

TEST(Features, MaskedOnesAreNotOffered) {
  const FeatureSet all = offered_without({});
  EXPECT_TRUE(all.has(V::net_mrg_rxbuf));
  EXPECT_FALSE(offered_without({V::net_mrg_rxbuf}).has(V::net_mrg_rxbuf));
  EXPECT_EQ(offered_without(FeatureSet(~std::uint64_t{0})), FeatureSet{});
}

TEST(Features, SomeAreOfferedOnlyWhenAskedFor) {
  const FeatureSet offered = offered_features({});
  EXPECT_EQ(offered, default_features().without({V::net_mq}));
  EXPECT_EQ(offered & features_on_request(), FeatureSet{});
  for (const V feature : {V::in_order, V::ring_reset, V::net_guest_uso4, V::net_guest_uso6, V::net_host_uso}) {
    PortOptions options;
    options.features_extra = FeatureSet{feature}.bits();
    EXPECT_EQ(offered_features(options), offered | FeatureSet{feature}) << protocol::feature_name(feature);
    options.features_masked = options.features_extra;
    EXPECT_EQ(offered_features(options), offered) << protocol::feature_name(feature);
  }
}

TEST(Features, SomeOfTheProtocolAreOfferedOnlyWhenAskedFor) {
  EXPECT_EQ(offered_protocol_features({}), default_protocol_features());
  EXPECT_EQ(default_protocol_features() & protocol_features_on_request(), ProtocolFeatureSet{});
  PortOptions options;
  options.protocol_features_extra = ProtocolFeatureSet{P::reset_device}.bits();
  EXPECT_EQ(offered_protocol_features(options), default_protocol_features() | ProtocolFeatureSet{P::reset_device});
}

TEST(Features, DeviceStateIsOfferedWhereSomethingMoves) {
  PortOptions options;
  options.protocol_features_extra = protocol_features_of_options().bits();
  EXPECT_FALSE(check_extra_features(options)) << "without anything that moves";
  options.protocol_features_extra = 0;
  EXPECT_FALSE(offered_protocol_features(options).has(P::device_state));
  options.migrate_stats = true;
  EXPECT_EQ(offered_protocol_features(options), default_protocol_features() | protocol_features_of_options());
  options.migrate_stats = false;
  options.save_state = [] { return std::vector<std::byte>(); };
  EXPECT_TRUE(offered_protocol_features(options).has(P::device_state));
}

TEST(Features, WhatIsAskedForMustBePossible) {
  PortOptions options;
  EXPECT_TRUE(check_extra_features(options));
  options.features_extra = (default_features() | features_on_request()).bits();
  options.protocol_features_extra = (default_protocol_features() | protocol_features_on_request()).bits();
  EXPECT_TRUE(check_extra_features(options));
  options.features_extra |= FeatureSet{V::iommu_platform}.bits();
  const auto refused = check_extra_features(options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cannot offer VIRTIO_F_ACCESS_PLATFORM, expected some of: VIRTIO_F_IN_ORDER"),
            std::string::npos)
      << refused.error().message;
}

TEST(Features, WhatDependsOnAMaskedOneIsNotOffered) {
  const FeatureSet no_csum = offered_without({V::net_csum});
  for (const V feature : {V::net_host_tso4, V::net_host_tso6, V::net_host_ecn, V::net_host_uso})
    EXPECT_FALSE(no_csum.has(feature)) << protocol::feature_name(feature);
  EXPECT_TRUE(no_csum.has(V::net_guest_tso4));
  const FeatureSet no_guest_csum = offered_without({V::net_guest_csum});
  for (const V feature : {V::net_guest_tso4, V::net_guest_tso6, V::net_guest_ecn, V::net_guest_uso4, V::net_guest_uso6})
    EXPECT_FALSE(no_guest_csum.has(feature)) << protocol::feature_name(feature);
  EXPECT_TRUE(offered_without({V::net_host_tso4}).has(V::net_host_ecn));
  EXPECT_FALSE(offered_without({V::net_host_tso4, V::net_host_tso6}).has(V::net_host_ecn));
  const FeatureSet legacy = offered_without({V::version_1});
  EXPECT_EQ(legacy.bits() >> 32, 0u);
}

TEST(Features, SeveralQueuePairsAreOfferedWhereThereAreSome) {
  EXPECT_FALSE(offered_without({}, 1).has(V::net_mq));
  EXPECT_TRUE(offered_without({}, 2).has(V::net_mq));
}

TEST(Features, ProtocolFeaturesFollow) {
  PortOptions options;
  EXPECT_TRUE(offered_protocol_features(options).has(P::mtu));
  options.features_masked = FeatureSet{V::net_mtu}.bits();
  EXPECT_FALSE(offered_protocol_features(options).has(P::mtu));
  options.features_masked = FeatureSet{V::vhost_user_protocol_features}.bits();
  EXPECT_TRUE(offered_protocol_features(options).empty());
}

TEST(Features, WishesAreChecked) {
  const FeatureSet offered = offered_without({});
  EXPECT_TRUE(check_features({}, offered));
  EXPECT_TRUE(check_features(offered, offered));
  const auto refused = check_features({V::iommu_platform, V::version_1}, offered);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("VIRTIO_F_ACCESS_PLATFORM"), std::string::npos);
  EXPECT_EQ(refused.error().message.find("VERSION_1"), std::string::npos);
}

TEST(Features, InBandNotificationsNeedTheirCompanions) {
  const ProtocolFeatureSet offered = protocol_features_on_request() | default_protocol_features();
  EXPECT_TRUE(check_protocol_features({P::inband_notifications, P::reply_ack, P::backend_req}, offered));
  EXPECT_FALSE(check_protocol_features({P::inband_notifications, P::reply_ack}, offered));
  EXPECT_FALSE(check_protocol_features({P::inband_notifications, P::backend_req}, offered));
}

/// Names of bits that docs/features.md says are `offered` ("default", "on request"), in the part that begins with
/// `heading`, in its order.
std::string documented(const std::string& heading, const std::string& offered) {
  std::ifstream file(VHOSTX_FEATURES_PAGE);
  std::string names;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line == heading;
    if (!inside || !line.starts_with("| `")) continue;
    const auto cell = [&](int number) {
      std::size_t begin = 0;
      for (int i = 0; i <= number; ++i) begin = line.find('|', begin) + 1;
      return line.substr(begin + 1, line.find('|', begin) - begin - 2);
    };
    const std::string name = cell(0).substr(1, cell(0).size() - 2);
    const auto bit = static_cast<unsigned>(std::stoul(cell(1)));
    const bool virtio = heading == "## virtio bits";
    EXPECT_EQ(name, virtio ? protocol::feature_name(V{bit}) : protocol::feature_name(P{bit})) << line;
    if (cell(2) == offered) names += (names.empty() ? "" : " ") + name;
    EXPECT_TRUE(cell(2) == "default" || cell(2) == "on request") << line;
  }
  return names;
}

TEST(Features, TheDocumentedOnesAreThoseOfTheCode) {
  const std::string virtio = "## virtio bits";
  const std::string protocol = "## vhost-user protocol bits";
  EXPECT_EQ(documented(virtio, "default"), to_string(default_features()));
  EXPECT_EQ(documented(virtio, "on request"), to_string(features_on_request()));
  EXPECT_EQ(documented(protocol, "default"), to_string(default_protocol_features()));
  EXPECT_EQ(documented(protocol, "on request"),
            to_string(protocol_features_on_request() | protocol_features_of_options()));
}

}  // namespace
}  // namespace vhostx::backend
