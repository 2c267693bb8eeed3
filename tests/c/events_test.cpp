// SPDX-License-Identifier: BSD-3-Clause
// Every event as C sees it.
#include "c/events.hpp"

#include <cstring>

#include <gtest/gtest.h>

namespace vhostx::c {
namespace {

template <typename Event, typename Look>
void expect(int kind, const Event& event, Look look) {
  const PortEvent any = event;
  const EventView view(any);
  EXPECT_EQ(view.event().kind, kind);
  EXPECT_STREQ(view.event().name, event_name(any));
  EXPECT_STREQ(view.event().text, describe(any).c_str());
  look(view.event());
}

TEST(CEvents, OfConnections) {
  expect(VHOSTX_EVENT_CONNECTED, FrontEndConnected{}, [](const vhostx_event& e) { EXPECT_FALSE(e.as.adopted); });
  expect(VHOSTX_EVENT_CONNECTED, FrontEndConnected{.adopted = true},
         [](const vhostx_event& e) { EXPECT_TRUE(e.as.adopted); });
  const FrontEndDisconnected gone{{ErrorCode::system, "read failed", 104}};
  expect(VHOSTX_EVENT_DISCONNECTED, gone, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.disconnected.code, VHOSTX_SYSTEM);
    EXPECT_EQ(event.as.disconnected.system_errno, 104);
    EXPECT_STREQ(event.as.disconnected.message, "read failed");
  });
  const ConnectFailed failed{{ErrorCode::system, "connecting to '/tmp/a': no such file", 2}};
  expect(VHOSTX_EVENT_CONNECT_FAILED, failed, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.connect_failed.code, VHOSTX_SYSTEM);
    EXPECT_EQ(event.as.connect_failed.system_errno, 2);
    EXPECT_STREQ(event.as.connect_failed.message, "connecting to '/tmp/a': no such file");
  });
  expect(VHOSTX_EVENT_FEATURES_NEGOTIATED, FeaturesNegotiated{1ULL << 33},
         [](const vhostx_event& event) { EXPECT_EQ(event.as.features, 1ULL << 33); });
  expect(VHOSTX_EVENT_MEMORY_CHANGED, MemoryChanged{3, 1ULL << 40}, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.memory.regions, 3U);
    EXPECT_EQ(event.as.memory.bytes, 1ULL << 40);
  });
}

TEST(CEvents, OfOwnership) {
  expect(VHOSTX_EVENT_OWNERSHIP_CHANGED, OwnershipChanged{PortOwnership::standing_by, 4711},
         [](const vhostx_event& event) {
           EXPECT_EQ(event.as.ownership.ownership, VHOSTX_OWNERSHIP_STANDING_BY);
           EXPECT_EQ(event.as.ownership.other_pid, 4711);
         });
}

TEST(CEvents, OfRings) {
  const auto is_vring_7 = [](const vhostx_event& event) { EXPECT_EQ(event.as.vring.index, 7); };
  expect(VHOSTX_EVENT_VRING_STARTED, VringStarted{7}, is_vring_7);
  expect(VHOSTX_EVENT_VRING_STOPPED, VringStopped{7}, is_vring_7);
  expect(VHOSTX_EVENT_VRING_ENABLED, VringEnabled{7, true}, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.enabled.index, 7);
    EXPECT_TRUE(event.as.enabled.enabled);
  });
  expect(VHOSTX_EVENT_VRING_READY, VringReady{7, true}, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.ready.index, 7);
    EXPECT_TRUE(event.as.ready.ready);
  });
  const VringBroken broken{7, {VringFaultCause::outside_memory, 3, 0xdead0000, 64}};
  expect(VHOSTX_EVENT_VRING_BROKEN, broken, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.broken.index, 7);
    EXPECT_EQ(event.as.broken.fault.cause, VHOSTX_FAULT_OUTSIDE_MEMORY);
    EXPECT_EQ(event.as.broken.fault.head, 3);
    EXPECT_EQ(event.as.broken.fault.a, 0xdead0000U);
    EXPECT_EQ(event.as.broken.fault.b, 64U);
  });
}

TEST(CEvents, OfDevices) {
  expect(VHOSTX_EVENT_MTU_SET, MtuSet{9000}, [](const vhostx_event& event) { EXPECT_EQ(event.as.mtu, 9000); });
  expect(VHOSTX_EVENT_STATUS_SET, StatusSet{15}, [](const vhostx_event& event) { EXPECT_EQ(event.as.status, 15); });
  expect(VHOSTX_EVENT_RARP_REQUESTED, RarpRequested{{1, 2, 3, 4, 5, 6}},
         [](const vhostx_event& event) { EXPECT_EQ(std::memcmp(event.as.rarp, "\1\2\3\4\5\6", 6), 0); });
}

TEST(CEvents, OfLoans) {
  const auto are_5_of_vring_1 = [](const vhostx_event& event) {
    EXPECT_EQ(event.as.loans.index, 1);
    EXPECT_EQ(event.as.loans.outstanding, 5U);
  };
  expect(VHOSTX_EVENT_LOANS_RECALLED, LoansRecalled{1, 5}, are_5_of_vring_1);
  expect(VHOSTX_EVENT_LOANS_OVERDUE, LoansOverdue{1, 5}, are_5_of_vring_1);
}

TEST(CEvents, OfPlacement) {
  const PlacementChanged moved{1,
                               1,
                               {.ring = {{{1, 3}}, 1, 0},
                                .buffers = {{{0, 2}, {1, 9}}, 0, 2},
                                .ring_node = 1,
                                .wanted_node = 1,
                                .state_node = 0,
                                .state = {{{0, 6}}, 0, 0},
                                .moved = 2,
                                .move_errno = 16,
                                .problem = "node 1 is full",
                                .state_areas = {{0x1000, 8192}}}};
  expect(VHOSTX_EVENT_PLACEMENT_CHANGED, moved, [](const vhostx_event& event) {
    EXPECT_EQ(event.as.placement.index, 1);
    EXPECT_EQ(event.as.placement.node, 1);
    const vhostx_vring_placement& where = *event.as.placement.where;
    EXPECT_EQ(where.ring.absent, 1U);
    EXPECT_EQ(where.buffers.unknown, 2U);
    EXPECT_EQ(vhostx_node_histogram_on(&where.buffers, 1), 9U);
    EXPECT_EQ(vhostx_node_histogram_on(&where.buffers, 5), 0U);
    EXPECT_EQ(vhostx_node_histogram_placed(&where.buffers), 11U);
    EXPECT_EQ(vhostx_node_histogram_main_node(&where.buffers), 1);
    EXPECT_EQ(vhostx_node_histogram_main_node(&where.state), 0);
    EXPECT_EQ(where.ring_node + where.wanted_node + where.state_node, 2);
    EXPECT_EQ(where.moved, 2U);
    EXPECT_EQ(where.move_errno, 16);
    EXPECT_STREQ(where.problem, "node 1 is full");
    ASSERT_EQ(where.state_area_count, 1U);
    EXPECT_EQ(where.state_areas[0].bytes, 8192U);
  });
}

}  // namespace
}  // namespace vhostx::c
