// SPDX-License-Identifier: BSD-3-Clause
// Feature sets and messages as people read them.
#include <string>

#include <gtest/gtest.h>

#include "protocol/describe.hpp"
#include "protocol/features.hpp"
#include "tests/protocol/open_fds.hpp"

namespace vhostx::protocol {
namespace {

TEST(FeatureSet, NamesItsBitsAndNumbersTheUnknownOnes) {
  FeatureSet set{VirtioFeature::net_csum, VirtioFeature::version_1};
  EXPECT_EQ(to_string(set), "VIRTIO_NET_F_CSUM VIRTIO_F_VERSION_1");
  EXPECT_EQ(to_string(FeatureSet(std::uint64_t{1} << 50)), "bit 50");
  EXPECT_EQ(to_string(FeatureSet()), "none");
  EXPECT_EQ(to_string(ProtocolFeatureSet(std::uint64_t{1} << 63 | 1u << 22)), "SHMEM bit 63");
}

TEST(FeatureSet, BehavesAsASet) {
  FeatureSet set(0x6);
  EXPECT_EQ((set & FeatureSet(0x3)).bits(), 0x2u);
  EXPECT_EQ((set | FeatureSet(0x1)).bits(), 0x7u);
  EXPECT_EQ(set.without(FeatureSet(0x2)).bits(), 0x4u);
  EXPECT_TRUE(set.has_all(FeatureSet(0x4)));
  EXPECT_FALSE(set.has_all(FeatureSet(0x5)));
  set.clear(VirtioFeature::net_guest_csum);
  EXPECT_EQ(set.bits(), 0x4u);
  EXPECT_EQ(FeatureSet{VirtioFeature::net_speed_duplex}.bits(), std::uint64_t{1} << 63);
}

TEST(FeatureNames, AreAscendingAndFitTheEnumerations) {
  for (const auto names : {virtio_feature_names(), protocol_feature_names()}) {
    for (std::size_t i = 1; i < names.size(); ++i) EXPECT_LT(names[i - 1].bit, names[i].bit) << names[i].name;
    for (const auto& name : names) EXPECT_FALSE(name.meaning.empty()) << name.name;
  }
  EXPECT_EQ(protocol_feature_names().size(), 24u);
  EXPECT_EQ(feature_name(VirtioFeature::ring_reset), "VIRTIO_F_RING_RESET");
  EXPECT_EQ(feature_name(VirtioFeature::net_host_uso), "VIRTIO_NET_F_HOST_USO");
  EXPECT_EQ(feature_name(VirtioFeature::vhost_log_all), "VHOST_F_LOG_ALL");
  EXPECT_EQ(feature_name(ProtocolFeature::configure_mem_slots), "CONFIGURE_MEM_SLOTS");
}

TEST(Describe, NamesRequestFieldsAndFlags) {
  const auto incoming = Incoming::front_end_requests;
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_vring_num, VringState{3, 256}, true)),
            "SET_VRING_NUM vring 3 num 256 need_reply");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_features, U64{0x1})),
            "SET_FEATURES 0x1 (VIRTIO_NET_F_CSUM)");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::get_features)), "GET_FEATURES");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::send_rarp, U64{0x0000665544332211})),
            "SEND_RARP 11:22:33:44:55:66");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_vring_call, U64{vring_no_fd | 2})),
            "SET_VRING_CALL vring 2 no descriptor");
}

TEST(Describe, SaysDeviceStatusInWords) {
  const auto incoming = Incoming::front_end_requests;
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_status, U64{15})),
            "SET_STATUS 0xf (ACKNOWLEDGE|DRIVER|FEATURES_OK|DRIVER_OK)");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_status, U64{0})), "SET_STATUS 0x0 (reset)");
  const Message get = make_request(FrontEndRequest::get_status);
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_reply(get.header(), U64{3})),
            "GET_STATUS reply 0x3 (ACKNOWLEDGE|DRIVER)");
  EXPECT_EQ(describe_status(0x41), "ACKNOWLEDGE|NEEDS_RESET");
  EXPECT_EQ(describe_status(0x180), "FAILED|0x100");
  EXPECT_EQ(describe_status(0x20), "0x20");
}

TEST(Describe, SaysWhatTheNumberBesideAVringMeans) {
  const auto said = [](FrontEndRequest request, std::uint32_t number) {
    return describe(Incoming::front_end_requests, make_request(request, VringState{2, number}));
  };
  EXPECT_EQ(said(FrontEndRequest::set_vring_enable, 1), "SET_VRING_ENABLE vring 2 enable");
  EXPECT_EQ(said(FrontEndRequest::set_vring_enable, 0), "SET_VRING_ENABLE vring 2 disable");
  EXPECT_EQ(said(FrontEndRequest::set_vring_enable, 7), "SET_VRING_ENABLE vring 2 7");
  EXPECT_EQ(said(FrontEndRequest::set_vring_base, 300), "SET_VRING_BASE vring 2 base 300");
  EXPECT_EQ(said(FrontEndRequest::get_vring_base, 0), "GET_VRING_BASE vring 2");
  EXPECT_EQ(said(FrontEndRequest::set_vring_endian, 1), "SET_VRING_ENDIAN vring 2 big-endian");
  EXPECT_EQ(said(FrontEndRequest::vring_kick, 0), "VRING_KICK vring 2");
  const Message get = make_request(FrontEndRequest::get_vring_base);
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_reply(get.header(), VringState{2, 300})),
            "GET_VRING_BASE reply vring 2 base 300");
  EXPECT_EQ(describe(Incoming::back_end_requests, make_request(BackEndRequest::vring_call, VringState{1, 0})),
            "BACKEND_VRING_CALL vring 1");
}

TEST(Describe, SaysOtherNumbersInWords) {
  const auto incoming = Incoming::front_end_requests;
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::set_device_state_fd, DeviceState{1, 0})),
            "SET_DEVICE_STATE_FD load phase stopped");
  const Message state = make_request(FrontEndRequest::set_device_state_fd);
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_reply(state.header(), U64{0x100})),
            "SET_DEVICE_STATE_FD reply success, no descriptor: use the one that came with the request");
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_reply(state.header(), U64{1})),
            "SET_DEVICE_STATE_FD reply error 1");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::iotlb_msg, IotlbMessage{.permissions = 3, .type = 2})),
            "IOTLB_MSG update iova 0x0 size 0x0 uva 0x0 permissions read+write");
  EXPECT_EQ(describe(incoming, make_request(FrontEndRequest::get_config, ConfigHeader{0, 6, 0})),
            "GET_CONFIG offset 0 size 6 for writable fields");
}

TEST(Describe, CountsDescriptors) {
  Message message = make_memory_table({{MemoryRegion{0, 0x1000, 0x7000, 0}}});
  message.add_fd(test::any_fd());
  EXPECT_EQ(describe(Incoming::front_end_requests, message),
            "SET_MEM_TABLE regions 1 [gpa 0x0 size 0x1000 uva 0x7000 offset 0x0] descriptors 1");
}

TEST(Describe, TellsAcknowledgementsFromReplies) {
  const Message request = make_request(FrontEndRequest::set_mem_table);
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_ack(request.header(), 0)), "SET_MEM_TABLE reply success");
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_ack(request.header(), 7)), "SET_MEM_TABLE reply error 7");
  const Message num = make_request(FrontEndRequest::get_queue_num);
  EXPECT_EQ(describe(Incoming::replies_to_front_end, make_reply(num.header(), U64{4})), "GET_QUEUE_NUM reply 4");
}

TEST(Describe, SaysWhatItCanOfAnUnknownRequest) {
  EXPECT_EQ(describe(Incoming::front_end_requests, Message(Header{99, 1, 5})), "request 99 5 bytes");
}

TEST(Describe, ReadsOnlyTheRegionsThatAreThere) {
  Message liar = make_request(FrontEndRequest::set_mem_table, MemoryTableHeader{0xffffffff, 0});
  EXPECT_EQ(describe(Incoming::front_end_requests, liar), "SET_MEM_TABLE regions 4294967295");
}

}  // namespace
}  // namespace vhostx::protocol
