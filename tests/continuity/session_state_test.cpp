// SPDX-License-Identifier: BSD-3-Clause
// SessionState: messages go in, and come out as those that set the same up again.
#include "continuity/session_state.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/codec.hpp"
#include "protocol/features.hpp"

namespace vhostx::continuity {
namespace {

using protocol::FrontEndRequest;
using protocol::LogBase;
using protocol::make_request;
using protocol::MemoryRegion;
using protocol::Message;
using protocol::ProtocolFeature;
using protocol::SingleMemoryRegion;
using protocol::U64;
using protocol::VringAddress;
using protocol::VringState;

constexpr std::uint64_t slots_feature = std::uint64_t{1} << static_cast<unsigned>(ProtocolFeature::configure_mem_slots);

SessionState state_of(std::size_t rings) {
  SessionState state;
  state.rings.resize(rings);
  return state;
}

MemoryRegion region_at(std::uint64_t guest) { return {guest, 0x1000, guest + 0x10'0000, 0}; }

/// All that a session can have.
SessionState full_state() {
  SessionState state = state_of(4);
  const auto take = [&state](const Message& message, std::vector<Slot> slots = {}, std::uint32_t answer = 0) {
    state.apply(message, slots, answer);
  };
  take(make_request(FrontEndRequest::set_protocol_features, U64{slots_feature | 0x9}));
  take(make_request(FrontEndRequest::set_features, U64{0x1'4000'8000}));
  take(make_request(FrontEndRequest::set_backend_req_fd), {20});
  take(make_request(FrontEndRequest::add_mem_reg, SingleMemoryRegion{0, region_at(0)}), {21});
  take(make_request(FrontEndRequest::add_mem_reg, SingleMemoryRegion{0, region_at(0x10000)}), {22});
  take(make_request(FrontEndRequest::add_mem_reg, SingleMemoryRegion{0, region_at(0x10000)}), {23});
  take(make_request(FrontEndRequest::set_log_base, LogBase{4096, 8}), {24});
  take(make_request(FrontEndRequest::set_log_fd), {25});
  take(make_request(FrontEndRequest::set_inflight_fd, protocol::Inflight{0x880, 64, 2, 64}), {29});
  take(make_request(FrontEndRequest::net_set_mtu, U64{1500}));
  take(make_request(FrontEndRequest::set_vring_num, VringState{1, 256}));
  take(make_request(FrontEndRequest::set_vring_base, VringState{1, 17}));
  take(make_request(FrontEndRequest::set_vring_addr, VringAddress{1, 1, 0x1000, 0x3000, 0x2000, 0x77}));
  take(make_request(FrontEndRequest::set_vring_call, U64{1}), {26});
  take(make_request(FrontEndRequest::set_vring_err, U64{1}), {27});
  take(make_request(FrontEndRequest::set_vring_enable, VringState{1, 1}));
  take(make_request(FrontEndRequest::set_vring_kick, U64{1}), {28});
  take(make_request(FrontEndRequest::set_vring_kick, U64{2 | protocol::vring_no_fd}));
  take(make_request(FrontEndRequest::vring_kick, VringState{3, 0}));
  take(make_request(FrontEndRequest::set_status, U64{15}));
  return state;
}

SessionState replayed(const SessionState& state) {
  SessionState again = state_of(state.rings.size());
  for (const auto& step : state.steps())
    for (std::uint32_t i = 0; i < step.times; ++i) again.apply(step.message, step.slots, 0);
  return again;
}

TEST(SessionState, ComesOutAsItWentIn) {
  const SessionState state = full_state();
  EXPECT_EQ(replayed(state), state);
  EXPECT_EQ(replayed(state_of(2)), state_of(2));
  EXPECT_TRUE(state_of(2).steps().empty()) << "nothing to set up";
}

TEST(SessionState, StepsAreMessagesThatTheCodecTakes) {
  for (auto& step : full_state().steps()) {
    const auto row = protocol::check_header(protocol::Incoming::front_end_requests, step.message.header());
    ASSERT_TRUE(row) << row.error().message;
    ASSERT_NE(*row, nullptr);
    EXPECT_TRUE((*row)->fds.allows(step.slots.size())) << (*row)->name;
    EXPECT_TRUE((*row)->payload.allows(step.message.header().size)) << (*row)->name;
  }
}

TEST(SessionState, NamesEverySlotThatItNeeds) {
  SessionState state = full_state();
  state.own_inflight = 4;
  auto slots = state.slots();
  std::sort(slots.begin(), slots.end());
  EXPECT_EQ(slots, (std::vector<Slot>{4, 20, 21, 22, 24, 25, 26, 27, 28, 29}))
      << "the second file of one region is not needed";
}

TEST(SessionState, ATableReplacesTheOneBefore) {
  SessionState state = state_of(2);
  const std::vector<MemoryRegion> two{region_at(0), region_at(0x10000)};
  state.apply(protocol::make_memory_table(two), std::vector<Slot>{30, 31}, 0);
  const std::vector<MemoryRegion> one{region_at(0x20000)};
  state.apply(protocol::make_memory_table(one), std::vector<Slot>{32}, 0);
  ASSERT_EQ(state.regions.size(), 1U);
  EXPECT_EQ(state.regions[0].file, 32U);
  EXPECT_EQ(replayed(state), state) << "without slots of its own it is sent as a table";
}

TEST(SessionState, ARegionGoesWhenItWasRemovedAsOftenAsItWasAdded) {
  SessionState state = full_state();
  const auto remove = make_request(FrontEndRequest::rem_mem_reg, SingleMemoryRegion{0, region_at(0x10000)});
  state.apply(remove, {}, 0);
  EXPECT_EQ(state.regions.size(), 2U);
  state.apply(remove, {}, 0);
  EXPECT_EQ(state.regions.size(), 1U);
  state.apply(remove, {}, 0);
  EXPECT_EQ(state.regions.size(), 1U) << "one that is not there";
}

TEST(SessionState, AStoppedRingWaitsAtItsBase) {
  SessionState state = full_state();
  state.apply(make_request(FrontEndRequest::get_vring_base, VringState{1, 0}), {}, 4711);
  EXPECT_EQ(state.rings[1].base, 4711U);
  EXPECT_EQ(state.rings[1].kick_kind, KickKind::unarmed);
  EXPECT_EQ(state.rings[1].call, 26U) << "it stays";
  EXPECT_EQ(replayed(state), state);
}

TEST(SessionState, AStatusOfZeroLeavesBasesAndDescriptors) {
  for (const auto& message :
       {make_request(FrontEndRequest::set_status, U64{0}), make_request(FrontEndRequest::reset_device)}) {
    SessionState state = full_state();
    state.apply(message, {}, 0);
    EXPECT_EQ(state.features_set, 0U);
    EXPECT_EQ(state.mtu, 0U);
    EXPECT_NE(state.protocol_features, 0U);
    EXPECT_EQ(state.regions.size(), 2U);
    EXPECT_EQ(state.inflight, (InflightState{0x880, 64, 2, 64, 29}));
    EXPECT_EQ(state.rings[1].size, 0U);
    EXPECT_EQ(state.rings[1].base, 17U);
    EXPECT_EQ(state.rings[1].call, 26U);
    EXPECT_EQ(state.rings[1].error, 27U);
    EXPECT_EQ(state.rings[1].kick, 0U);
    EXPECT_EQ(state.rings[1].enabled, 0U);
  }
}

TEST(SessionState, ForgetsItsLog) {
  SessionState state = full_state();
  state.forget_log();
  for (const auto& step : state.steps()) EXPECT_NE(step.message.front_end_request(), FrontEndRequest::set_log_base);
  EXPECT_EQ(state.log_signal, 25U);
}

TEST(SessionState, QuestionsChangeNothing) {
  SessionState state = full_state();
  const SessionState before = state;
  for (const auto request : {FrontEndRequest::get_features, FrontEndRequest::get_status, FrontEndRequest::set_owner,
                             FrontEndRequest::get_queue_num, FrontEndRequest::check_device_state})
    state.apply(make_request(request), {}, 0);
  state.apply(make_request(FrontEndRequest::send_rarp, U64{0x0605'0403'0201}), {}, 0);
  EXPECT_EQ(state, before);
}

}  // namespace
}  // namespace vhostx::continuity
