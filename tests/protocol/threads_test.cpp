// SPDX-License-Identifier: BSD-3-Clause
// A back-end on a thread of its own, the fake front-end on the test's: both roles of the codec, over real sockets.
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "protocol/channel.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/fake_front_end.hpp"

namespace vhostx::protocol {
namespace {

constexpr FeatureSet offered{VirtioFeature::vhost_user_protocol_features, VirtioFeature::version_1};
constexpr ProtocolFeatureSet protocol_offered{ProtocolFeature::mq, ProtocolFeature::reply_ack,
                                              ProtocolFeature::backend_req};

// The least that a front-end takes for a back-end.
class TinyBackEnd {
 public:
  TinyBackEnd(asio::io_context& io, UniqueFd socket) : io_(io) {
    channel_ = std::make_unique<Channel>(io_.get_executor(), std::move(socket), Incoming::front_end_requests,
                                         ChannelHandlers{[this](Message&& message) { answer(std::move(message)); },
                                                         [this](const Error&) { io_.stop(); }});
  }

 private:
  void answer(Message message) {
    const Header header = message.header();
    const RequestRow* row = find_front_end_row(header.request);
    switch (message.front_end_request()) {
      case FrontEndRequest::get_features:
        return reply(make_reply(header, U64{offered.bits()}));
      case FrontEndRequest::get_protocol_features:
        return reply(make_reply(header, U64{protocol_offered.bits()}));
      case FrontEndRequest::get_queue_num:
        return reply(make_reply(header, U64{2}));
      case FrontEndRequest::get_vring_base:
        return reply(make_reply(header, VringState{1, 99}));
      case FrontEndRequest::set_backend_req_fd:
        requests_.emplace(io_.get_executor(), message.take_fd(), Incoming::replies_to_back_end, ChannelHandlers{});
        EXPECT_TRUE(requests_->send(make_request(BackEndRequest::config_change_msg, true)));
        break;
      default:
        break;
    }
    if (message.needs_reply()) reply(make_ack(header, row == nullptr ? 1 : 0));
  }
  void reply(Message message) { EXPECT_TRUE(channel_->send(std::move(message))); }

  asio::io_context& io_;
  std::unique_ptr<Channel> channel_;
  std::optional<Channel> requests_;
};

class BackEndThread : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    front_end_.emplace(UniqueFd(pair[0]));
    thread_ = std::thread([this, socket = pair[1]] {
      TinyBackEnd back_end(io_, UniqueFd(socket));
      io_.run();
    });
  }
  void TearDown() override {
    front_end_->disconnect();
    thread_.join();
  }

  asio::io_context io_;
  std::optional<test::FakeFrontEnd> front_end_;
  std::thread thread_;
};

TEST_F(BackEndThread, NegotiatesAndAnswers) {
  const auto agreed = front_end_->negotiate({VirtioFeature::version_1, VirtioFeature::ring_packed},
                                            {ProtocolFeature::reply_ack, ProtocolFeature::mtu});
  ASSERT_TRUE(agreed) << agreed.error().message;
  EXPECT_EQ(front_end_->features(), offered);
  EXPECT_EQ(front_end_->protocol_features(), ProtocolFeatureSet{ProtocolFeature::reply_ack});
  const auto queues = front_end_->get_u64(FrontEndRequest::get_queue_num);
  ASSERT_TRUE(queues) << queues.error().message;
  EXPECT_EQ(*queues, 2u);
  EXPECT_TRUE(front_end_->set_vring(FrontEndRequest::set_vring_num, 1, 256));
  EXPECT_TRUE(front_end_->set_vring_fd(FrontEndRequest::set_vring_call, 1, test::any_fd().get()));
  const auto base = front_end_->get_vring_base(1);
  ASSERT_TRUE(base) << base.error().message;
  EXPECT_EQ(*base, 99u);
  EXPECT_FALSE(front_end_->get_vring_base(0));  // the answer names another ring
}

TEST_F(BackEndThread, RefusesAnUnknownRequestWithAStatus) {
  const auto status = front_end_->acknowledged(Message(Header{77, 1, 4}));
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, 1u);
}

TEST_F(BackEndThread, SendsRequestsOfItsOwn) {
  ASSERT_TRUE(front_end_->open_backend_channel());
  const auto request = front_end_->receive_backend_request();
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->back_end_request(), BackEndRequest::config_change_msg);
  EXPECT_TRUE(front_end_->reply_to_backend(make_ack(request->header(), 0)));
}

TEST_F(BackEndThread, ClosesOnAPeerThatBreaksTheProtocol) {
  ASSERT_TRUE(front_end_->send_bytes(encode_header(Header{1, 2, 0})));
  EXPECT_TRUE(front_end_->closed_by_peer());
}

TEST(FakeFrontEndSockets, ConnectAndAccept) {
  const auto path = (std::filesystem::temp_directory_path() / fmt::format("vhostx-fake-{}", ::getpid())).string();
  auto listener = test::FakeFrontEnd::listen(path);
  ASSERT_TRUE(listener) << listener.error().message;
  std::thread other([&path] {
    const auto connected = test::FakeFrontEnd::connect(path);
    EXPECT_TRUE(connected);
    if (connected) {
      test::FakeFrontEnd copy(test::duplicate(connected->fd()));
      EXPECT_TRUE(copy.send(make_request(FrontEndRequest::set_owner)));
    }
  });
  auto accepted = test::FakeFrontEnd::accept(*listener);
  other.join();
  std::filesystem::remove(path);
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_TRUE(accepted->closed_by_peer());
}

}  // namespace
}  // namespace vhostx::protocol
