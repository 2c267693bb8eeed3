// SPDX-License-Identifier: BSD-3-Clause
// The table itself, and what it lets happen when.
#include "protocol/request_table.hpp"

#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "protocol/message.hpp"

namespace vhostx::protocol {
namespace {

TEST(RequestTable, HasEveryRequestOfBothDirectionsByItsNumber) {
  ASSERT_EQ(front_end_rows().size(), 45u);
  ASSERT_EQ(back_end_rows().size(), 10u);
  for (std::uint32_t id = 1; id <= 45; ++id) EXPECT_EQ(find_front_end_row(id)->id, id);
  for (std::uint32_t id = 1; id <= 10; ++id) EXPECT_EQ(find_back_end_row(id)->id, id);
  EXPECT_EQ(row_of(FrontEndRequest::get_vring_base_skip_drain).name, "GET_VRING_BASE_SKIP_DRAIN");
  EXPECT_EQ(row_of(BackEndRequest::shmem_unmap).name, "BACKEND_SHMEM_UNMAP");
}

TEST(RequestTable, HasNoRowForOtherNumbers) {
  for (const std::uint32_t id : {0u, 46u, 0x80000000u, 0xffffffffu}) EXPECT_EQ(find_front_end_row(id), nullptr);
  for (const std::uint32_t id : {0u, 11u, 0x80000000u, 0xffffffffu}) EXPECT_EQ(find_back_end_row(id), nullptr);
}

TEST(RequestTable, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const auto& row : front_end_rows()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
  for (const auto& row : back_end_rows()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

// vhost-user "Communication" and the messages' own texts.
TEST(RequestTable, AlwaysRepliedAreExactlyThoseOfTheSpecification) {
  const std::set<std::uint32_t> always{1, 6, 11, 15, 17, 24, 26, 28, 30, 31, 36, 40, 41, 42, 43, 44, 45};
  for (const auto& row : front_end_rows()) {
    EXPECT_EQ(row.reply == ReplyKind::always, always.contains(row.id)) << row.name;
  }
}

// QEMU asks for their acknowledgements since 11.1.
TEST(RequestTable, EventfdsAreAcknowledgedAsAllOthers) {
  for (const auto request :
       {FrontEndRequest::set_vring_kick, FrontEndRequest::set_vring_call, FrontEndRequest::set_vring_err}) {
    EXPECT_EQ(row_of(request).reply, ReplyKind::ack) << row_of(request).name;
    EXPECT_EQ(row_of(request).reply_payload.kind, PayloadKind::status) << row_of(request).name;
  }
}

// Bits have been renumbered before they were released: these are QEMU's.
TEST(RequestTable, TheNewestMessagesAndTheirBitsHaveTheirNumbers) {
  using P = ProtocolFeature;
  struct Newest {
    std::uint32_t id;
    std::string_view name;
    P bit;
    unsigned number;
  };
  for (const auto& [id, name, bit, number] :
       {Newest{42, "SET_DEVICE_STATE_FD", P::device_state, 19}, Newest{43, "CHECK_DEVICE_STATE", P::device_state, 19},
        Newest{44, "GET_SHMEM_CONFIG", P::shmem, 22},
        Newest{45, "GET_VRING_BASE_SKIP_DRAIN", P::get_vring_base_skip_drain, 23}}) {
    EXPECT_EQ(find_front_end_row(id)->name, name);
    EXPECT_EQ(find_front_end_row(id)->protocol_feature, bit) << name;
    EXPECT_EQ(static_cast<unsigned>(bit), number) << name;
  }
  EXPECT_EQ(feature_name(P{20}), "GET_VRING_BASE_INFLIGHT");
  EXPECT_EQ(feature_name(P{21}), "GPA_ADDRESSES");
}

TEST(RequestTable, NothingIsLongerThanAMessageCanBe) {
  for (const auto& row : front_end_rows()) EXPECT_LE(row.payload.max, payload_bytes_max) << row.name;
  EXPECT_TRUE(row_of(FrontEndRequest::set_mem_table).payload.allows(8 + 32 * 8));
  EXPECT_FALSE(row_of(FrontEndRequest::set_mem_table).payload.allows(8 + 32 * 9));
  EXPECT_FALSE(row_of(FrontEndRequest::set_mem_table).payload.allows(8 + 33));
}

// ---- check_legal

Agreement everything() {
  Agreement agreement;
  agreement.features_offered = FeatureSet(~std::uint64_t{0});
  agreement.protocol_features_offered = ProtocolFeatureSet(~std::uint64_t{0});
  agreement.protocol_features = ProtocolFeatureSet(~std::uint64_t{0});
  agreement.facts.set(Fact::ring_configured);
  agreement.facts.set(Fact::backend_socket);
  return agreement;
}

TEST(CheckLegal, AllowsEveryRequestOnceAllIsAgreed) {
  for (const auto& row : front_end_rows()) EXPECT_TRUE(check_legal(row, everything())) << row.name;
  for (const auto& row : back_end_rows()) EXPECT_TRUE(check_legal(row, everything())) << row.name;
}

TEST(CheckLegal, RefusesEveryGatedRequestWithoutItsFeature) {
  for (const auto rows : {front_end_rows(), back_end_rows()}) {
    for (const auto& row : rows) {
      if (!row.protocol_feature) continue;
      Agreement agreement = everything();
      agreement.protocol_features.clear(*row.protocol_feature);
      EXPECT_EQ(check_legal(row, agreement).ok(), row.offer_suffices) << row.name;
      agreement.protocol_features_offered.clear(*row.protocol_feature);
      const auto refused = check_legal(row, agreement);
      ASSERT_FALSE(refused) << row.name;
      EXPECT_NE(refused.error().message.find(row.name), std::string::npos) << refused.error().message;
      EXPECT_NE(refused.error().message.find(feature_name(*row.protocol_feature)), std::string::npos);
    }
  }
}

TEST(CheckLegal, RefusesEveryRequestOfAVirtioFeatureThatWasNotOffered) {
  for (const auto& row : front_end_rows()) {
    if (!row.virtio_feature) continue;
    Agreement agreement = everything();
    agreement.features_offered.clear(*row.virtio_feature);
    EXPECT_FALSE(check_legal(row, agreement)) << row.name;
  }
}

TEST(CheckLegal, AKickNeedsARingWithSizeAndAddresses) {
  Agreement agreement = everything();
  agreement.facts.set(Fact::ring_configured, false);
  const auto refused = check_legal(row_of(FrontEndRequest::set_vring_kick), agreement);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "SET_VRING_KICK: expected SET_VRING_NUM and SET_VRING_ADDR first");
  EXPECT_FALSE(check_legal(row_of(FrontEndRequest::vring_kick), agreement));
  // QEMU sets it before all else.
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::set_vring_call), agreement));
}

TEST(CheckLegal, AStartedRingKeepsItsSizeAndItsBase) {
  Agreement agreement = everything();
  agreement.facts.set(Fact::ring_started);
  EXPECT_FALSE(check_legal(row_of(FrontEndRequest::set_vring_num), agreement));
  EXPECT_FALSE(check_legal(row_of(FrontEndRequest::set_vring_base), agreement));
  // QEMU sends these to running rings: to log, to mask interrupts, to stop.
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::set_vring_addr), agreement));
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::set_vring_call), agreement));
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::get_vring_base), agreement));
}

// The order in which QEMU's virtio-net speaks until SET_FEATURES.
TEST(CheckLegal, QemuMayEnableRingsAndSetTheMtuBeforeSetFeatures) {
  Agreement agreement;
  agreement.features_offered = {VirtioFeature::vhost_user_protocol_features, VirtioFeature::net_mtu};
  agreement.protocol_features_offered = {ProtocolFeature::mq, ProtocolFeature::mtu, ProtocolFeature::backend_req};
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::get_features), agreement));
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::get_protocol_features), agreement));
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::set_protocol_features), agreement));
  agreement.protocol_features = agreement.protocol_features_offered;
  for (const auto request :
       {FrontEndRequest::get_queue_num, FrontEndRequest::set_backend_req_fd, FrontEndRequest::set_owner,
        FrontEndRequest::set_vring_call, FrontEndRequest::set_vring_enable, FrontEndRequest::net_set_mtu,
        FrontEndRequest::set_features, FrontEndRequest::set_mem_table}) {
    EXPECT_TRUE(check_legal(row_of(request), agreement)) << row_of(request).name;
  }
}

// The oldest front-ends know no protocol features and send no SET_FEATURES.
TEST(CheckLegal, AnOldFrontEndCanStartRings) {
  Agreement agreement;
  for (const auto request :
       {FrontEndRequest::set_owner, FrontEndRequest::get_features, FrontEndRequest::set_mem_table,
        FrontEndRequest::set_vring_num, FrontEndRequest::set_vring_base, FrontEndRequest::set_vring_addr}) {
    EXPECT_TRUE(check_legal(row_of(request), agreement)) << row_of(request).name;
  }
  agreement.facts.set(Fact::ring_configured);
  EXPECT_TRUE(check_legal(row_of(FrontEndRequest::set_vring_kick), agreement));
}

}  // namespace
}  // namespace vhostx::protocol
