// SPDX-License-Identifier: BSD-3-Clause
#include "backend/features.hpp"

#include <gtest/gtest.h>

namespace vhostx::backend {
namespace {

using V = protocol::VirtioFeature;
using P = protocol::ProtocolFeature;
using protocol::FeatureSet;
using protocol::ProtocolFeatureSet;

FeatureSet offered_without(FeatureSet masked, std::uint16_t pairs = 1) {
  PortOptions options;
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

TEST(Features, WhatDependsOnAMaskedOneIsNotOffered) {
  const FeatureSet no_csum = offered_without({V::net_csum});
  for (const V feature : {V::net_host_tso4, V::net_host_tso6, V::net_host_ecn, V::net_host_uso})
    EXPECT_FALSE(no_csum.has(feature)) << feature_name(feature);
  EXPECT_TRUE(no_csum.has(V::net_guest_tso4));
  const FeatureSet no_guest_csum = offered_without({V::net_guest_csum});
  for (const V feature : {V::net_guest_tso4, V::net_guest_tso6, V::net_guest_ecn, V::net_guest_uso4, V::net_guest_uso6})
    EXPECT_FALSE(no_guest_csum.has(feature)) << feature_name(feature);
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
  const auto refused = check_features({V::ring_packed, V::version_1}, offered);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("VIRTIO_F_RING_PACKED"), std::string::npos);
  EXPECT_EQ(refused.error().message.find("VERSION_1"), std::string::npos);
}

TEST(Features, InBandNotificationsNeedTheirCompanions) {
  const ProtocolFeatureSet offered = offered_protocol_features({});
  EXPECT_TRUE(check_protocol_features({P::inband_notifications, P::reply_ack, P::backend_req}, offered));
  EXPECT_FALSE(check_protocol_features({P::inband_notifications, P::reply_ack}, offered));
  EXPECT_FALSE(check_protocol_features({P::inband_notifications, P::backend_req}, offered));
}

}  // namespace
}  // namespace vhostx::backend
