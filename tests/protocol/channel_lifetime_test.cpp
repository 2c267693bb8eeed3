// SPDX-License-Identifier: BSD-3-Clause
// Channels that end: by the peer, by their owner, from inside handlers, with work pending.
#include <chrono>
#include <memory>

#include "tests/protocol/channel_fixture.hpp"

namespace vhostx::protocol {
namespace {

using Lifetime = ChannelFixture;

TEST_F(Lifetime, OfAPeerThatLeftBeforeIsToldOnceAndLater) {
  auto [ours, theirs] = socket_pair();
  theirs.reset();
  adopt(std::move(ours));
  EXPECT_FALSE(closed_);
  poll();
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::closed);
  poll();  // the fixture fails when it is told twice
}

TEST_F(Lifetime, OfAPeerThatLeavesAnAnswerUnread) {
  open();
  ASSERT_TRUE(channel_->send(make_ack(Header{1, 1, 0}, 0)));
  peer_.reset();
  poll();
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::closed);
  EXPECT_EQ(closed_->message, "the peer closed the connection with messages unread");
}

TEST_F(Lifetime, EndsInsideOnMessage) {
  open();
  on_message_ = [this](Message&) { channel_.reset(); };
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  poll();
  EXPECT_EQ(received_.size(), 1u);
  EXPECT_FALSE(closed_);
}

TEST_F(Lifetime, EndsInsideOnClosed) {
  open();
  on_closed_ = [this] { channel_.reset(); };
  peer_.reset();
  poll();
  EXPECT_TRUE(closed_);
  EXPECT_FALSE(channel_);
}

TEST_F(Lifetime, IsReplacedInsideOnClosed) {
  open();
  on_closed_ = [this] {
    on_closed_ = nullptr;
    open();
  };
  peer_.reset();
  poll();
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  poll();
  EXPECT_EQ(received_.size(), 1u);
}

TEST_F(Lifetime, EndsWithEverythingPending) {
  open(Incoming::front_end_requests, {.message_timeout = std::chrono::hours(1)});
  while (channel_->send(make_reply(Header{1, 1, 0}, U64{0}))) {
  }
  const auto bytes = encode(make_request(FrontEndRequest::set_owner));
  ASSERT_TRUE(write(std::span(bytes).first(3)));
  poll();
  channel_.reset();
  poll();
  EXPECT_FALSE(closed_);
}

TEST_F(Lifetime, CloseTellsNobodyAndMayComeTwice) {
  open();
  channel_->close();
  channel_->close();
  EXPECT_FALSE(channel_->is_open());
  const auto refused = channel_->send(make_request(FrontEndRequest::set_owner));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::closed);
  poll();
  EXPECT_FALSE(closed_);
}

TEST_F(Lifetime, CloseAfterAFailureThatWasNotToldYetTellsNobody) {
  open();
  peer_.reset();
  EXPECT_FALSE(channel_->send(make_request(FrontEndRequest::set_owner)));
  channel_->close();
  poll();
  EXPECT_FALSE(closed_);
}

TEST_F(Lifetime, AFailureInsideAHandlerIsToldAfterIt) {
  open();
  on_message_ = [this](Message& message) {
    EXPECT_FALSE(channel_->send(make_ack(message.header(), 0)));
    EXPECT_FALSE(closed_);
  };
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner, true)));
  peer_.reset();
  poll();
  EXPECT_EQ(received_.size(), 1u);
  EXPECT_TRUE(closed_);
}

TEST_F(Lifetime, WhatTheHandlersHoldIsFreedWithTheChannel) {
  auto held = std::make_shared<int>(1);
  auto [ours, theirs] = socket_pair();
  {
    Channel channel(io_.get_executor(), std::move(ours), Incoming::front_end_requests,
                    {[held](Message&&) {}, [held](const Error&) {}});
    EXPECT_EQ(held.use_count(), 3);
  }
  poll();
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(Lifetime, WhatTheHandlersHoldIsFreedOnceTheChannelHasClosed) {
  auto held = std::make_shared<int>(1);
  auto [ours, theirs] = socket_pair();
  Channel channel(io_.get_executor(), std::move(ours), Incoming::front_end_requests,
                  {[held](Message&&) {}, [held](const Error&) {}});
  theirs.reset();
  poll();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(LifetimeOfTheExecutor, MayEndBeforeItsHandlersRan) {
  const auto before = test::open_fds();
  {
    asio::io_context io;
    std::array<int, 2> pair{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    const UniqueFd peer(pair[1]);
    Channel channel(io.get_executor(), UniqueFd(pair[0]), Incoming::front_end_requests, {});
  }
  EXPECT_EQ(test::open_fds(), before);
}

}  // namespace
}  // namespace vhostx::protocol
