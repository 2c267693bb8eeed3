// SPDX-License-Identifier: BSD-3-Clause
// Versions, names of feature bits, numbers of vrings.
#include <string>

#include <gtest/gtest.h>

#include <vhostx/vhostx.h>
#include <vhostx/vhostx.hpp>

namespace vhostx::test {
namespace {

TEST(Version, TheHeadersHaveTheProjects) {
  EXPECT_STREQ(VHOSTX_VERSION_STRING, VHOSTX_TEST_PROJECT_VERSION);
  EXPECT_EQ(std::to_string(VHOSTX_VERSION_MAJOR) + "." + std::to_string(VHOSTX_VERSION_MINOR) + "." +
                std::to_string(VHOSTX_VERSION_PATCH),
            VHOSTX_TEST_PROJECT_VERSION);
  static_assert(VHOSTX_VERSION_NUMBER ==
                VHOSTX_MAKE_VERSION(VHOSTX_VERSION_MAJOR, VHOSTX_VERSION_MINOR, VHOSTX_VERSION_PATCH));
  static_assert(VHOSTX_MAKE_VERSION(1, 2, 3) == 1002003);
  static_assert(VHOSTX_MAKE_VERSION(0, 2, 0) > VHOSTX_MAKE_VERSION(0, 1, 99));
#if VHOSTX_VERSION_NUMBER < VHOSTX_MAKE_VERSION(0, 1, 0)
#error "the preprocessor compares versions"
#endif
}

TEST(Version, TheLibraryThatRunsHasIt) {
  EXPECT_STREQ(version(), VHOSTX_TEST_PROJECT_VERSION);
  EXPECT_EQ(version_number(), VHOSTX_VERSION_NUMBER);
  EXPECT_STREQ(vhostx_version(), VHOSTX_TEST_PROJECT_VERSION);
  EXPECT_EQ(vhostx_version_number(), VHOSTX_VERSION_NUMBER);
}

TEST(FeatureBits, AreJoinedAndFound) {
  constexpr auto some = feature_bits(VirtioFeature::net_mrg_rxbuf, VirtioFeature::version_1);
  static_assert(some == ((std::uint64_t{1} << 15) | (std::uint64_t{1} << 32)));
  static_assert(has_feature(some, VirtioFeature::version_1) && !has_feature(some, VirtioFeature::net_csum));
  static_assert(feature_bits(ProtocolFeature::gpa_addresses) == std::uint64_t{1} << 21);
  static_assert((VHOSTX_VIRTIO_NET_F_MRG_RXBUF | VHOSTX_VIRTIO_F_VERSION_1) == some);
  static_assert(VHOSTX_PROTOCOL_F_GPA_ADDRESSES == feature_bits(ProtocolFeature::gpa_addresses));
}

TEST(FeatureBits, AreWords) {
  EXPECT_EQ(describe_features(feature_bits(VirtioFeature::version_1, VirtioFeature::net_mrg_rxbuf)),
            "VIRTIO_NET_F_MRG_RXBUF VIRTIO_F_VERSION_1");
  EXPECT_EQ(describe_features(std::uint64_t{1} << 42), "bit 42");
  EXPECT_EQ(describe_features(0), "none");
  EXPECT_EQ(describe_protocol_features(feature_bits(ProtocolFeature::reply_ack, ProtocolFeature::mq)), "MQ REPLY_ACK");
}

TEST(FeatureBits, AreWordsInC) {
  char text[2048];
  for (const std::uint64_t bits : {std::uint64_t{0}, VHOSTX_VIRTIO_NET_F_MRG_RXBUF, ~std::uint64_t{0}}) {
    EXPECT_EQ(vhostx_describe_features(bits, text, sizeof text), describe_features(bits).size());
    EXPECT_EQ(text, describe_features(bits));
    EXPECT_EQ(vhostx_describe_protocol_features(bits, text, sizeof text), describe_protocol_features(bits).size());
    EXPECT_EQ(text, describe_protocol_features(bits));
  }
  EXPECT_EQ(vhostx_describe_features(VHOSTX_VIRTIO_NET_F_CSUM, text, 7), 17u);
  EXPECT_STREQ(text, "VIRTIO");
  EXPECT_EQ(vhostx_describe_features(VHOSTX_VIRTIO_NET_F_CSUM, nullptr, 0), 17u);
}

TEST(QueuePairs, HaveNumbers) {
  static_assert(to_guest_index(0) == 0 && from_guest_index(0) == 1 && to_guest_index(3) == 6 &&
                from_guest_index(3) == 7);
  static_assert(queue_pair_of(6) == 3 && queue_pair_of(7) == 3 && is_from_guest(7) && !is_from_guest(6));
  for (std::uint16_t pair = 0; pair < 128; ++pair) {
    EXPECT_EQ(vhostx_to_guest_index(pair), to_guest_index(pair));
    EXPECT_EQ(vhostx_from_guest_index(pair), from_guest_index(pair));
    EXPECT_EQ(vhostx_queue_pair_of(from_guest_index(pair)), pair);
    EXPECT_TRUE(vhostx_is_from_guest(from_guest_index(pair)) && !vhostx_is_from_guest(to_guest_index(pair)));
  }
}

}  // namespace
}  // namespace vhostx::test
