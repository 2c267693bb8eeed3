// SPDX-License-Identifier: BSD-3-Clause
// What is concluded from messages: pairs, state, and findings; each finding from a session that breaks one rule.
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/probe_session_fixture.hpp"
#include "tools/probe/session/event_text.hpp"
#include "tools/probe/session/state_text.hpp"

namespace vhostx::test {
namespace {

TEST_F(ProbeSession, PairsRepliesAndTimesThem) {
  auto asked = message_event(Way::front_end_requests, 1, {});
  asked.time = std::chrono::microseconds(100);
  auto answered = message_event(Way::replies_to_front_end, 1, bytes_of(U64{1}), {}, Header::reply);
  answered.time = std::chrono::microseconds(167);
  session.take(asked);
  const auto decoded = session.take(answered);
  EXPECT_EQ(decoded.answers, 1U);
  EXPECT_EQ(decoded.round_trip, std::chrono::microseconds(67));
  EXPECT_QUIET(decoded);
  const auto line = text_of(answered, decoded, {});
  EXPECT_NE(line.find("GET_FEATURES reply 0x1"), std::string::npos) << line;
  EXPECT_NE(line.find("(to 1 after 67 us)"), std::string::npos) << line;
}

TEST_F(ProbeSession, KeepsWhatWasNegotiated) {
  negotiate();
  EXPECT_QUIET(add_region());
  configure_ring();
  EXPECT_QUIET(request(Request::set_vring_kick, U64{0}, {eventfd()}));
  EXPECT_QUIET(request(Request::set_vring_call, U64{0}, {eventfd()}));
  EXPECT_QUIET(request(Request::set_vring_enable, VringState{0, 1}));
  const auto& state = session.state();
  EXPECT_TRUE(state.owner);
  EXPECT_TRUE(state.features->has(VirtioFeature::version_1));
  EXPECT_TRUE(state.protocol_features->has(ProtocolFeature::reply_ack));
  ASSERT_EQ(state.regions.size(), 1U);
  const RingView& ring = state.rings.at(0);
  EXPECT_EQ(ring.size, 256U);
  EXPECT_EQ(ring.base, 7U);
  EXPECT_TRUE(ring.kick && ring.call && ring.enabled && !ring.stopped);
  EXPECT_EQ(find_region(state, 0x7000'0fff, 1), state.regions.data());
  EXPECT_EQ(find_region(state, 0x7000'ffff, 2), nullptr);
  const auto text = text_of(state, [](const RegionView&) { return std::string("node 3"); }, {});
  EXPECT_NE(text.find("64 KiB  0x70000000"), std::string::npos) << text;
  EXPECT_NE(text.find("node 3"), std::string::npos) << text;
  EXPECT_NE(text.find("0x70001000 (0)"), std::string::npos) << text;

  request(Request::get_vring_base, VringState{0, 0});
  EXPECT_QUIET(reply(Request::get_vring_base, VringState{0, 99}));
  EXPECT_TRUE(session.state().rings.at(0).stopped);
  EXPECT_EQ(session.state().rings.at(0).base, 99U);
  EXPECT_FALSE(session.state().rings.at(0).kick);
}

TEST_F(ProbeSession, FindsBitsThatWereNotOffered) {
  request(Request::get_features);
  reply(Request::get_features, U64{FeatureSet{VirtioFeature::version_1}.bits()});
  EXPECT_SAYS(request(Request::set_features, U64{FeatureSet{VirtioFeature::net_mrg_rxbuf}.bits()}),
              "features VIRTIO_NET_F_MRG_RXBUF were not offered");
  EXPECT_SAYS(request(Request::get_protocol_features), "GET_PROTOCOL_FEATURES");
}

TEST_F(ProbeSession, FindsQuestionsWithoutTheirFeature) {
  negotiate();
  EXPECT_SAYS(request(Request::get_status), "STATUS");
  EXPECT_SAYS(request(Request::set_owner), "second time");
  EXPECT_SAYS(request(static_cast<Request>(77)), "request 77 is not known");
}

TEST_F(ProbeSession, FindsNeedReplyWithoutReplyAck) {
  negotiate({ProtocolFeature::configure_mem_slots});
  EXPECT_SAYS(request(Request::set_vring_enable, VringState{0, 1}, {}, Header::need_reply), "need_reply");
}

TEST_F(ProbeSession, FindsRegionsThatCannotBe) {
  negotiate();
  EXPECT_SAYS(add_region({0x1000, 0x10000, 0x7000'0000, 0x1000}), "ends 4096 bytes past the end of its file");
  EXPECT_SAYS(add_region({0x2000, 0x1000, 0x9000'0000, 0}), "overlaps the one at 0x1000");
  EXPECT_SAYS(add_region({0x100000, 0, 0xa000'0000, 0}), "has no bytes");
  EXPECT_SAYS(add_region({UINT64_MAX, 0x1000, 0xb000'0000, 0}), "beyond the last address");
  EXPECT_SAYS(request(Request::rem_mem_reg, SingleMemoryRegion{0, {0x5000, 0x1000, 0, 0}}), "no region");
  FdFacts file;
  file.kind = "file";
  file.bytes = 0x1000;
  EXPECT_SAYS(request(Request::add_mem_reg, SingleMemoryRegion{0, {0x900000, 0x1000, 0xc000'0000, 0}}, {file}),
              "expected shared memory");
}

TEST_F(ProbeSession, ARegionThatIsAddedAgainIsARemark) {
  negotiate();
  add_region();
  const auto again = add_region();
  EXPECT_SAYS(again, "is there already");
  EXPECT_EQ(again.findings.at(0).weight, Finding::Weight::remark);
  EXPECT_EQ(session.state().regions.size(), 1U);
}

TEST_F(ProbeSession, ForgetsRegionsWhateverTheirOffset) {
  negotiate();
  add_region();
  EXPECT_QUIET(request(Request::rem_mem_reg, SingleMemoryRegion{0, {0x1000, 0x10000, 0x7000'0000, 0xdead000}}));
  EXPECT_TRUE(session.state().regions.empty());
}

TEST_F(ProbeSession, FindsRingsThatCannotBe) {
  negotiate();
  add_region();
  EXPECT_SAYS(request(Request::set_vring_num, VringState{0, 100}), "expected a power of two");
  request(Request::set_vring_num, VringState{0, 256});
  EXPECT_SAYS(request(Request::set_vring_addr, VringAddress{0, 0, 0x7000'0001, 0x7000'2000, 0x7000'1000, 0}),
              "expected a multiple of 16");
  EXPECT_SAYS(request(Request::set_vring_addr, VringAddress{0, 0, 0x7000'0000, 0x7000'f900, 0x7000'1000, 0}),
              "used ring at 0x7000f900, 2054 bytes, lies in no region");
  EXPECT_SAYS(request(Request::set_vring_kick, U64{1}, {eventfd()}), "SET_VRING_KICK");
  EXPECT_SAYS(request(Request::set_vring_call, U64{0}, {pipe_fd()}), "brings a pipe, expected an eventfd");
}

TEST_F(ProbeSession, TakesRingsOverRegionsThatContinueEachOther) {
  const auto used_at = [](std::uint64_t address) { return VringAddress{0, 0, 0x7000'0000, address, 0x7000'1000, 0}; };
  negotiate();
  add_region();
  request(Request::set_vring_num, VringState{0, 256});
  add_region({0x12000, 0x1000, 0x7001'0000, 0});  // in front-end addresses only
  EXPECT_SAYS(request(Request::set_vring_addr, used_at(0x7000'f900)), "2054 bytes, lies in no region");
  request(Request::rem_mem_reg, SingleMemoryRegion{0, {0x12000, 0x1000, 0x7001'0000, 0}});
  add_region({0x11000, 0x100, 0x7001'0000, 0});
  add_region({0x11100, 0x100, 0x7001'0100, 0});
  EXPECT_QUIET(request(Request::set_vring_addr, used_at(0x7000'f900)));  // 262 bytes behind the first region
  EXPECT_SAYS(request(Request::set_vring_addr, used_at(0x7000'fa00)), "2054 bytes, lies in no region");
}

class PackedSession : public ProbeSession {
 protected:
  PackedSession() {
    negotiate({ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots}, {VirtioFeature::ring_packed});
    add_region();
    request(Request::set_vring_num, VringState{0, 100});
  }
};

TEST_F(PackedSession, NamesAreasAndPlaces) {
  const auto addresses = request(Request::set_vring_addr, VringAddress{0, 0, 0x7000'0000, 0x7000'2000, 0x7000'1000, 0});
  EXPECT_QUIET(addresses);
  EXPECT_NE(addresses.text.find("used is the device event, available the driver event"), std::string::npos);
  const auto base = request(Request::set_vring_base, VringState{0, 0x8005'0007});
  EXPECT_QUIET(base);
  EXPECT_NE(base.text.find("base 2147811335 (available 7 wrap 0, used 5 wrap 1)"), std::string::npos) << base.text;
  const std::string text = text_of(session.state(), {}, {});
  EXPECT_NE(text.find("descriptor ring (region)"), std::string::npos) << text;
  EXPECT_NE(text.find("driver event"), std::string::npos);
  EXPECT_NE(text.find("100 "), std::string::npos);
  EXPECT_NE(text.find("  available 7 wrap 0, used 5 wrap 1  0x70000000 (0)"), std::string::npos) << text;
  request(Request::get_vring_base, VringState{0, 0});
  const auto answer = reply(Request::get_vring_base, VringState{0, 0x8063});
  EXPECT_QUIET(answer);
  EXPECT_NE(answer.text.find("(available 99 wrap 1, used not given)"), std::string::npos) << answer.text;
  const auto ring = nlohmann::json::parse(json_of(session.state(), {}))["vrings"][0]["packed_base"];
  EXPECT_EQ(ring["available"], 99);
  EXPECT_EQ(ring["available_wrap"], true);
  EXPECT_TRUE(ring["used"].is_null());
}

TEST_F(PackedSession, FindsAreasAndPlacesThatCannotBe) {
  const auto at = [](std::uint64_t used, std::uint64_t available) {
    return VringAddress{0, 0, 0x7000'0000, used, available, 0};
  };
  EXPECT_SAYS(request(Request::set_vring_addr, at(0x7000'2002, 0x7000'1000)), "device event at 0x70002002, expected a");
  EXPECT_SAYS(request(Request::set_vring_addr, at(0x7000'2000, 0x7001'0000)),
              "driver event at 0x70010000, 4 bytes, lies");
  EXPECT_QUIET(request(Request::set_vring_base, VringState{0, 0x8063}));
  EXPECT_SAYS(request(Request::set_vring_base, VringState{0, 0x8064}),
              "available 100 wrap 1, used not given, expected");
  EXPECT_SAYS(request(Request::set_vring_base, VringState{0, 0x0064'8000}),
              "used 100 wrap 0, expected places below its 100");
  request(Request::get_vring_base, VringState{0, 0});
  EXPECT_SAYS(reply(Request::get_vring_base, VringState{0, 0x7fff}), "the base of vring 0");
}

TEST_F(ProbeSession, FindsRingsThatAreChangedWhileTheyRun) {
  negotiate();
  add_region();
  configure_ring();
  request(Request::set_vring_kick, U64{0}, {eventfd()});
  EXPECT_SAYS(request(Request::set_vring_num, VringState{0, 128}), "SET_VRING_NUM");
}

TEST_F(ProbeSession, FindsRepliesThatNobodyAskedFor) {
  negotiate();
  EXPECT_SAYS(reply(Request::set_owner, U64{0}), "answers nothing");
  request(Request::get_features);
  request(Request::get_queue_num);
  EXPECT_SAYS(reply(Request::get_queue_num, U64{1}), "GET_FEATURES, was sent before and is not answered");
  request(Request::get_vring_base, VringState{1, 0});
  EXPECT_SAYS(reply(Request::get_vring_base, VringState{0, 0}), "the base of vring 1 was asked for");
}

TEST_F(ProbeSession, FindsRequestsThatWereNeverAnswered) {
  request(Request::get_features);
  Event closed;
  closed.kind = EventKind::closed;
  const auto decoded = session.take(closed);
  EXPECT_SAYS(decoded, "message 1, GET_FEATURES, was never answered");
  EXPECT_EQ(decoded.findings.size(), 1U);
}

// "user address: ... must duplicate guest address field".
TEST_F(ProbeSession, KnowsGuestAddresses) {
  negotiate({ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots, ProtocolFeature::gpa_addresses});
  EXPECT_QUIET(add_region({0x1000, 0x10000, 0x1000, 0}));
  EXPECT_SAYS(add_region({0x100000, 0x10000, 0, 0}), "has the user address 0x0, expected the same with GPA_ADDRESSES");
  EXPECT_SAYS(add_region({0x1000, 0x10000, 0x5000, 0}), "is there already");
  request(Request::set_vring_num, VringState{0, 256});
  EXPECT_QUIET(request(Request::set_vring_addr, VringAddress{0, 0, 0x1000, 0x3000, 0x2000, 0}));
  EXPECT_SAYS(request(Request::set_vring_addr, VringAddress{0, 0, 0, 0x3000, 0x2000, 0}), "lies in no region");
  EXPECT_QUIET(request(Request::rem_mem_reg, SingleMemoryRegion{0, {0x100000, 0x10000, 7, 0}}));
  EXPECT_EQ(session.state().regions.size(), 1U);
  const ProtocolFeatureSet without{ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots};
  EXPECT_SAYS(request(Request::set_protocol_features, U64{without.bits()}),
              "GPA_ADDRESSES changes while there is memory");
}

TEST_F(ProbeSession, FindsFeaturesWithoutThoseThatTheyNeed) {
  negotiate({ProtocolFeature::get_vring_base_skip_drain, ProtocolFeature::inflight_shmfd});
  EXPECT_SAYS(request(Request::set_protocol_features,
                      U64{ProtocolFeatureSet{ProtocolFeature::get_vring_base_skip_drain}.bits()}),
              "GET_VRING_BASE_SKIP_DRAIN is chosen without INFLIGHT_SHMFD GET_VRING_BASE_INFLIGHT, which it needs");
  EXPECT_SAYS(
      request(Request::set_protocol_features, U64{ProtocolFeatureSet{ProtocolFeature::get_vring_base_inflight}.bits()}),
      "GET_VRING_BASE_INFLIGHT is chosen without INFLIGHT_SHMFD, which it needs");
}

TEST_F(ProbeSession, KnowsTheNewestMessages) {
  EXPECT_SAYS(request(Request::get_shmem_config), "SHMEM was not negotiated");
  EXPECT_SAYS(request(Request::get_vring_base_skip_drain, VringState{0, 0}),
              "GET_VRING_BASE_SKIP_DRAIN was not negotiated");
  negotiate({ProtocolFeature::inflight_shmfd, ProtocolFeature::get_vring_base_inflight,
             ProtocolFeature::get_vring_base_skip_drain});
  EXPECT_QUIET(request(Request::get_vring_base_skip_drain, VringState{0, 0}));
  EXPECT_QUIET(reply(Request::get_vring_base_skip_drain, VringState{0, 5}));
  EXPECT_EQ(session.state().rings.at(0).base, 5U);
}

TEST_F(ProbeSession, PostCopyWithSlotsIsARemark) {
  negotiate({ProtocolFeature::pagefault});
  EXPECT_QUIET(request(Request::postcopy_advise));
  request(Request::set_protocol_features,
          U64{ProtocolFeatureSet{ProtocolFeature::pagefault, ProtocolFeature::configure_mem_slots}.bits()});
  for (const auto id : {Request::postcopy_advise, Request::postcopy_listen, Request::postcopy_end}) {
    const auto decoded = request(id);
    EXPECT_SAYS(decoded, "CONFIGURE_MEM_SLOTS");
    EXPECT_EQ(decoded.findings.at(0).weight, Finding::Weight::remark);
  }
}

TEST_F(ProbeSession, InPostCopyMemoryMayBeAnswered) {
  negotiate({ProtocolFeature::pagefault, ProtocolFeature::configure_mem_slots});
  add_region();
  EXPECT_QUIET(reply(Request::add_mem_reg, SingleMemoryRegion{0, {0x1000, 0x10000, 0x5000'0000, 0}}));
  add_region({0x100000, 0x10000, 0x8000'0000, 0});
  request(Request::get_features);
  EXPECT_QUIET(reply(Request::get_features, U64{0}));
}

TEST_F(ProbeSession, FindsMessagesThatAreNone) {
  auto wrong_version = message_event(Way::front_end_requests, 1, {});
  wrong_version.header.flags = 2;
  EXPECT_SAYS(session.take(wrong_version), "version 2, expected 1");
  auto huge = message_event(Way::front_end_requests, 5, std::vector<std::byte>(payload_bytes_max));
  huge.header.size = 1 << 20;
  EXPECT_SAYS(session.take(huge), "1048576 bytes of payload");
  auto cut = message_event(Way::front_end_requests, 2, std::vector<std::byte>(3));
  cut.header.size = 8;
  cut.cut_off = true;
  EXPECT_SAYS(session.take(cut), "3 of 8 bytes of payload came");
  EXPECT_SAYS(request(Request::set_owner, Nothing{}, std::vector<FdFacts>(9, eventfd())), "9 descriptors");
}

TEST_F(ProbeSession, IsBoundedWhateverComes) {
  negotiate();
  for (std::uint32_t i = 0; i < 2000; ++i) {
    request(Request::set_vring_num, VringState{i, 256});
    add_region({std::uint64_t{i} << 20, 0x1000, (std::uint64_t{i} << 20) + 1, 0});
    request(Request::get_features);
  }
  EXPECT_LE(session.state().rings.size(), Session::rings_max);
  EXPECT_LE(session.state().regions.size(), Session::regions_max);
}

TEST_F(ProbeSession, TextsHoldNoCommandsForATerminal) {
  Event opened;
  opened.kind = EventKind::opened;
  opened.front_end = {12, "a\x1b[2Jb"};
  EXPECT_EQ(text_of(opened, session.take(opened), {}).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace vhostx::test
