// SPDX-License-Identifier: BSD-3-Clause
// What a keeper makes of the front-end's connection in a bundle.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using namespace std::chrono_literals;
using Kind = KeeperEvent::Kind;

TEST_F(KeeperTest, AFrontEndThatHangsUpEndsOnlyABundleWithoutAnOwner) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_EQ(::write(theirs.get(), "last words", 10), 10);  // it waits in the socket
  theirs.reset();
  ASSERT_EQ(owner.list()->size(), 1u);
  EXPECT_EQ(owner.list()->front().slots, std::vector<std::uint32_t>{front_end_slot});
  ASSERT_TRUE(owner.release("port").ok());
  const auto dropped = keeper.wait_for(Kind::dropped);
  EXPECT_EQ(dropped.name, "port");
  EXPECT_EQ(dropped.reason, "its front-end has gone");
  EXPECT_TRUE(owner.list()->empty());
}

TEST_F(KeeperTest, AFrontEndMayHangUpAtAnyLaterTime) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.release("port").ok());
  ASSERT_EQ(owner.list()->size(), 1u);
  ASSERT_EQ(owner.claim("port", ClaimHow::now)->size(), 1u);
  ASSERT_TRUE(owner.release("port").ok());
  settle(owner);
  theirs.reset();
  EXPECT_EQ(keeper.wait_for(Kind::dropped).reason, "its front-end has gone");
}

TEST_F(KeeperTest, AFrontEndSlotMayHoldAnythingElse) {
  KeeperThread keeper(options());
  auto owner = client();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reads(ends[0]);
  UniqueFd writes(ends[1]);
  const auto file = memory_file();
  for (const int fd : {file.get(), reads.get()}) {
    ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
    ASSERT_TRUE(owner.hold("port", front_end_slot, fd).ok());
    ASSERT_TRUE(owner.release("port").ok());
    writes.reset();
    ASSERT_EQ(owner.list()->size(), 1u);
    EXPECT_EQ(owner.list()->front().front_end_pid, 0u);
  }
}

TEST_F(KeeperTest, TheFrontEndLosesItsConnectionWhenTheGraceTimeEnds) {
  KeeperThread keeper(options());
  auto owner = client();
  auto [ours, theirs] = socket_pair();
  ASSERT_TRUE(owner.claim("port", ClaimHow::now).ok());
  ASSERT_TRUE(owner.hold("port", front_end_slot, ours.get()).ok());
  ASSERT_TRUE(owner.park("port", 20ms).ok());
  ours.reset();
  EXPECT_EQ(keeper.wait_for(Kind::dropped).reason, "nobody claimed it in time");
  pollfd one{theirs.get(), POLLRDHUP, 0};
  ASSERT_EQ(::poll(&one, 1, static_cast<int>(std::chrono::milliseconds(generous).count())), 1);
  EXPECT_NE(one.revents & POLLHUP, 0);
}

}  // namespace
}  // namespace vhostx::continuity
