// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <vhostx/events.hpp>

namespace vhostx {
namespace {

TEST(Events, HaveNamesAndTexts) {
  EXPECT_STREQ(event_name(FrontEndConnected{}), "connected");
  EXPECT_STREQ(event_name(VringStarted{3}), "vring_started");
  EXPECT_EQ(describe(VringEnabled{3, true}), "vring 3 enabled");
  EXPECT_EQ(describe(FrontEndDisconnected{{ErrorCode::closed, "it left", 0}}), "front-end disconnected: it left");
  EXPECT_EQ(describe(StatusSet{0x0b}), "device status 0x0b (ACKNOWLEDGE|DRIVER|FEATURES_OK)");
  EXPECT_EQ(describe(RarpRequested{{0x52, 0x54, 0, 0, 0, 0x0a}}), "RARP requested for 52:54:00:00:00:0a");
  EXPECT_EQ(describe(VringBroken{3, {VringFaultCause::outside_memory, 7, 0xdead0000, 64}}),
            "vring 3 broken: outside_memory (head 7, 0xdead0000, 0x40)");
  EXPECT_EQ(describe(OwnershipChanged{}), "served by this process");
  EXPECT_EQ(describe(OwnershipChanged{PortOwnership::yielding, 12}), "process 12 takes it over");
  EXPECT_EQ(describe(OwnershipChanged{PortOwnership::standing_by, 0}), "stands by: another process serves it");
  EXPECT_EQ(describe(OwnershipChanged{PortOwnership::handed_over, 12}), "handed over to process 12");
  EXPECT_STREQ(to_string(PortOwnership::standing_by), "standing_by");
}

}  // namespace
}  // namespace vhostx
