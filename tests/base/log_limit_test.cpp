// SPDX-License-Identifier: BSD-3-Clause
#include "base/log_limit.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/logger.hpp"

namespace vhostx {
namespace {

using std::chrono::milliseconds;

TEST(LogLimit, SomeAtOnceThenSoManyASecond) {
  auto now = LogLimit::Clock::time_point{};
  LogLimit limit(now);
  std::uint64_t left_out = 0;
  for (unsigned i = 0; i < LogLimit::at_once; ++i) EXPECT_TRUE(limit.take(now, left_out));
  EXPECT_FALSE(limit.take(now, left_out));
  EXPECT_FALSE(limit.take(now + milliseconds(19), left_out));
  EXPECT_EQ(left_out, 0u);
  EXPECT_TRUE(limit.take(now + milliseconds(21), left_out));
  EXPECT_EQ(left_out, 2u);
  EXPECT_FALSE(limit.take(now + milliseconds(22), left_out));
  now += std::chrono::hours(1);
  left_out = 0;
  for (unsigned i = 0; i < LogLimit::at_once; ++i) EXPECT_TRUE(limit.take(now, left_out));
  EXPECT_FALSE(limit.take(now, left_out)) << "an hour's room is no more than at the beginning";
}

TEST(LogLimit, IsOfEachPeerAndNotOfDebugLines) {
  std::vector<std::string> said;
  const Logger logger([&](LogLevel, std::string_view line) { said.emplace_back(line); }, LogLevel::debug);
  const Logger one = logger.for_peer("one"), other = logger.for_peer("other");
  for (unsigned i = 0; i < 10 * LogLimit::at_once; ++i) one.warning("again");
  EXPECT_LT(said.size(), 9 * LogLimit::at_once) << "but for what a very slow machine has room for";
  said.clear();
  other.warning("first");
  one.debug("message");
  EXPECT_EQ(said, (std::vector<std::string>{"other: first", "one: message"}));
}

TEST(Logger, ItsLevelIsThatOfAllItsCopies) {
  std::vector<std::string> said;
  const Logger logger([&](LogLevel, std::string_view line) { said.emplace_back(line); }, LogLevel::warning);
  const Logger peer = logger.for_peer("peer");
  peer.info("not yet");
  logger.set_level(LogLevel::info);
  peer.info("now");
  peer.debug("never");
  EXPECT_TRUE(peer.writes(LogLevel::info));
  EXPECT_FALSE(peer.writes(LogLevel::debug));
  peer.set_level(LogLevel::error);
  logger.warning("no more");
  EXPECT_EQ(said, (std::vector<std::string>{"peer: now"}));
  const Logger silent;
  silent.set_level(LogLevel::debug);
  EXPECT_FALSE(silent.writes(LogLevel::error));
}

}  // namespace
}  // namespace vhostx
