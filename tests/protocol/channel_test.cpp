// SPDX-License-Identifier: BSD-3-Clause
// The channel with peers that keep the rules.
#include "protocol/channel.hpp"

#include <array>

#include "tests/protocol/channel_fixture.hpp"

namespace vhostx::protocol {
namespace {

class ChannelTest : public ChannelFixture {
 protected:
  // The next message that the channel wrote; none when it is not all there.
  std::optional<Message> read_message() {
    std::array<std::byte, message_header_bytes> header;
    FdList fds;
    if (receive(peer_.get(), header, fds, Blocking::no).bytes != header.size()) return std::nullopt;
    Message message(decode_header(header));
    if (!message.payload().empty() &&
        receive(peer_.get(), message.payload(), fds, Blocking::no).bytes != message.payload().size()) {
      return std::nullopt;
    }
    message.set_fds(std::move(fds));
    return message;
  }
};

TEST_F(ChannelTest, HandsOnAMessageWithItsDescriptors) {
  open();
  ASSERT_TRUE(write(with_fds(make_memory_table({{MemoryRegion{1, 2, 3, 4}}}), 1)));
  poll();
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(received_[0].payload_padded_as<MemoryTablePayload>().regions[0].front_end_address, 3u);
  ASSERT_EQ(received_[0].fd_count(), 1u);
  EXPECT_NE(::fcntl(received_[0].fd(0), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ChannelTest, HandsOnAMessageWithItsRow) {
  open();
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  ASSERT_TRUE(write(Message(Header{77, Header::version_1, 0})));
  poll();
  ASSERT_EQ(received_.size(), 2u);
  EXPECT_EQ(received_[0].row(), &row_of(FrontEndRequest::set_owner));
  EXPECT_EQ(received_[1].row(), nullptr);
}

TEST_F(ChannelTest, GivesEachMessageItsOwnDescriptors) {
  open();
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  ASSERT_TRUE(write(with_fds(make_request(FrontEndRequest::set_vring_call, U64{0}), 1)));
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_vring_call, U64{vring_no_fd})));
  ASSERT_TRUE(write(with_fds(make_request(FrontEndRequest::set_log_fd), 1)));
  poll();
  ASSERT_EQ(received_.size(), 4u);
  EXPECT_EQ(received_[0].fd_count(), 0u);
  EXPECT_EQ(received_[1].fd_count(), 1u);
  EXPECT_EQ(received_[2].fd_count(), 0u);
  EXPECT_EQ(received_[3].fd_count(), 1u);
}

TEST_F(ChannelTest, TakesSeveralMessagesFromOneWriteAndOneMessageFromManyBytes) {
  open();
  auto bytes = encode(make_request(FrontEndRequest::get_features));
  const auto second = encode(make_request(FrontEndRequest::set_features, U64{9}));
  bytes.insert(bytes.end(), second.begin(), second.end());
  ASSERT_TRUE(write(bytes));
  poll();
  EXPECT_EQ(received_.size(), 2u);
}

TEST_F(ChannelTest, AssemblesAMessageFromSingleBytes) {
  open();
  const Message message = with_fds(make_memory_table(std::array<MemoryRegion, 2>{}), 2);
  const auto bytes = encode(message);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_TRUE(received_.empty());
    const FdList none;
    ASSERT_TRUE(write(std::span(bytes).subspan(i, 1), i == 0 ? message.fds() : none));
    poll();
  }
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(received_[0].fd_count(), 2u);
  EXPECT_EQ(encode(received_[0]), bytes);
}

TEST_F(ChannelTest, TheLargestMessageArrives) {
  open();
  ASSERT_TRUE(write(Message(Header{77, 1, payload_bytes_max})));  // unknown: the session's to refuse
  poll();
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(received_[0].payload().size(), payload_bytes_max);
}

TEST_F(ChannelTest, WritesRepliesWithDescriptorsAndClosesItsCopies) {
  open();
  const auto before = test::open_fds();
  Message reply = make_reply(make_request(FrontEndRequest::get_inflight_fd).header(), Inflight{});
  reply.add_fd(test::any_fd());
  ASSERT_TRUE(channel_->send(std::move(reply)));
  EXPECT_EQ(test::open_fds(), before);
  const auto got = read_message();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->fd_count(), 1u);
  EXPECT_TRUE(check_message(Incoming::replies_to_front_end, *got));
}

TEST_F(ChannelTest, AnswersFromInsideTheHandler) {
  open();
  on_message_ = [this](Message& message) { EXPECT_TRUE(channel_->send(make_ack(message.header(), 0))); };
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner, true)));
  poll();
  const auto got = read_message();
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->header().is_reply());
}

TEST_F(ChannelTest, ReadsRepliesToRequestsOfTheBackEnd) {
  open(Incoming::replies_to_back_end);
  ASSERT_TRUE(channel_->send(make_request(BackEndRequest::config_change_msg, true)));
  const auto request = read_message();
  ASSERT_TRUE(request);
  ASSERT_TRUE(write(make_ack(request->header(), 0)));
  poll();
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(received_[0].back_end_request(), BackEndRequest::config_change_msg);
}

TEST_F(ChannelTest, WaitingOutputIsWrittenInOrderOnceThePeerReads) {
  open(Incoming::replies_to_back_end);
  std::uint32_t sent = 0;
  while (channel_->send(make_request(BackEndRequest::vring_call, VringState{sent, 0}))) ++sent;
  const auto refused = channel_->send(make_request(BackEndRequest::vring_call, VringState{sent, 0}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_TRUE(channel_->is_open());
  for (std::uint32_t expected = 0; expected < sent; ++expected) {
    std::optional<Message> message;
    run_until([&] { return (message = read_message()).has_value(); });
    ASSERT_EQ(message->payload_as<VringState>()->index, expected);
  }
  EXPECT_FALSE(read_message());
  EXPECT_TRUE(channel_->send(make_request(BackEndRequest::vring_call, VringState{0, 0})));
}

TEST_F(ChannelTest, AnIdlePeerHasNoDeadline) {
  open(Incoming::front_end_requests, {.message_timeout = std::chrono::milliseconds(1)});
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(received_.size(), 1u);
  EXPECT_TRUE(channel_->is_open());
}

TEST_F(ChannelTest, AMessageThatCameInTimeLeavesNoDeadlineBehind) {
  open(Incoming::front_end_requests, {.message_timeout = std::chrono::milliseconds(200)});
  const auto bytes = encode(make_request(FrontEndRequest::set_owner));
  ASSERT_TRUE(write(std::span(bytes).first(5)));
  poll();
  ASSERT_TRUE(write(std::span(bytes).subspan(5)));
  poll();
  ASSERT_EQ(received_.size(), 1u);
  io_.restart();
  io_.run_for(std::chrono::milliseconds(250));
  EXPECT_FALSE(closed_);
}

TEST_F(ChannelTest, KnowsThatThePeerIsGoneBehindUnreadMessages) {
  open();
  EXPECT_FALSE(channel_->peer_is_gone());
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_owner)));
  EXPECT_FALSE(channel_->peer_is_gone());
  peer_.reset();
  EXPECT_TRUE(channel_->peer_is_gone());
  poll();
  EXPECT_EQ(received_.size(), 1u);  // what it said before still counts
  ASSERT_TRUE(closed_);
  EXPECT_EQ(closed_->code, ErrorCode::closed);
  EXPECT_TRUE(channel_->peer_is_gone());
}

/// What on_busy has said last.
class ChannelBusyTest : public ChannelTest {
 protected:
  void SetUp() override {
    ChannelTest::SetUp();
    on_busy_ = [this](bool busy) {
      busy_ = busy;
      reported_ |= busy;
    };
  }
  static Message request() { return make_request(FrontEndRequest::get_features); }
  Result<void> answer() { return channel_->send(make_reply(request().header(), U64{1})); }

  bool busy_ = false;
  bool reported_ = false;  // ever
};

TEST_F(ChannelBusyTest, IsReportedWhileAMessageIsHandledAndUntilItsAnswerIsSent) {
  open();
  on_message_ = [this](Message&) {
    EXPECT_TRUE(busy_);
    ASSERT_TRUE(answer());
    EXPECT_FALSE(busy_) << "at once, whatever the handler does next";
  };
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(write(request()));  // more than in one turn
  poll();
  EXPECT_EQ(received_.size(), 40U);
  EXPECT_FALSE(busy_);
}

TEST_F(ChannelBusyTest, EndsWithAMessageThatHasNoAnswer) {
  open();
  on_message_ = [this](Message&) { EXPECT_TRUE(busy_); };
  ASSERT_TRUE(write(request()));
  poll();
  EXPECT_EQ(received_.size(), 1U);
  EXPECT_FALSE(busy_);
}

TEST_F(ChannelBusyTest, IsNotReportedWhereNothingIsToBeRead) {
  open();
  poll();
  channel_->pause();
  channel_->resume();  // it looks again
  poll();
  EXPECT_FALSE(reported_);
}

TEST_F(ChannelBusyTest, LastsWhileAMessageIsHalfThere) {
  open();
  const auto bytes = encode(request());
  ASSERT_TRUE(write(std::span(bytes).first(1)));
  poll();
  EXPECT_TRUE(busy_);
  ASSERT_TRUE(answer());  // to an earlier one
  EXPECT_TRUE(busy_);
  ASSERT_TRUE(write(std::span(bytes).subspan(1)));
  poll();
  EXPECT_FALSE(busy_);
}

TEST_F(ChannelBusyTest, LastsWhileTheHandlerWaitsAndUntilItHasAnswered) {
  open();
  on_message_ = [this](Message&) { channel_->pause(); };
  ASSERT_TRUE(write(request()));
  poll();
  EXPECT_TRUE(busy_);
  channel_->resume();
  ASSERT_TRUE(answer());
  EXPECT_FALSE(busy_);
}

TEST_F(ChannelBusyTest, LastsUntilThePeerHasTakenTheAnswer) {
  auto [ours, theirs] = socket_pair();
  peer_ = std::move(theirs);
  on_message_ = [this, socket = ours.get()](Message&) {
    const std::array<std::byte, 4096> bytes{};
    while (::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
    ASSERT_TRUE(answer());
  };
  adopt(std::move(ours));
  ASSERT_TRUE(write(request()));
  poll();
  EXPECT_TRUE(busy_);
  std::array<std::byte, 4096> bytes;
  while (::recv(peer_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) poll();
  EXPECT_FALSE(busy_);
}

}  // namespace
}  // namespace vhostx::protocol
