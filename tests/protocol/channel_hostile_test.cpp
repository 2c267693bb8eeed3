// SPDX-License-Identifier: BSD-3-Clause
// The channel with peers that break the rules: it closes with a reason, keeps no descriptor, and holds up nobody.
#include <array>
#include <chrono>
#include <cstring>
#include <vector>

#include <sys/resource.h>

#include "tests/protocol/channel_fixture.hpp"

namespace vhostx::protocol {
namespace {

class HostilePeer : public ChannelFixture {
 protected:
  void expect_closed(ErrorCode code, const std::string& text) {
    run_until([this] { return closed_.has_value(); });
    EXPECT_EQ(closed_->code, code);
    EXPECT_NE(closed_->message.find(text), std::string::npos) << closed_->message;
    EXPECT_FALSE(channel_->is_open());
    EXPECT_TRUE(received_.empty());
  }

  // More descriptors than an FdList holds.
  void write_with_fds(std::span<const std::byte> bytes, std::size_t count) {
    const UniqueFd fd = test::any_fd();
    const std::vector<int> fds(count, fd.get());
    std::vector<std::byte> control(CMSG_SPACE(count * sizeof(int)));
    iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(part), fds.data(), count * sizeof(int));
    ASSERT_EQ(::sendmsg(peer_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
};

TEST_F(HostilePeer, PartOfAMessageThenSilence) {
  for (const std::size_t part : {1u, 11u, 12u, 13u, 43u}) {
    received_.clear();
    closed_.reset();
    open(Incoming::front_end_requests, {.message_timeout = std::chrono::milliseconds(5)});
    const Message message = with_fds(make_memory_table({{MemoryRegion{}}}), 1);
    const auto bytes = encode(message);
    ASSERT_TRUE(write(std::span(bytes).first(part), message.fds()));
    expect_closed(ErrorCode::timed_out, fmt::format("after {} bytes for 5 ms", part));
  }
}

TEST_F(HostilePeer, BytesThatTrickleDoNotPutTheDeadlineOff) {
  open(Incoming::front_end_requests, {.message_timeout = std::chrono::milliseconds(30)});
  const auto bytes = encode(Message(Header{77, 1, payload_bytes_max}));
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < bytes.size() && !closed_; ++i) {
    if (channel_->is_open()) write(std::span(bytes).subspan(i, 1));
    io_.restart();
    io_.run_for(std::chrono::milliseconds(1));
  }
  expect_closed(ErrorCode::timed_out, "bytes for 30 ms");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST_F(HostilePeer, AHugeSizeIsRefusedBeforeAByteOfPayload) {
  for (const std::uint32_t size : {0x80000000u, 0xffffffffu, 265u}) {
    received_.clear();
    closed_.reset();
    open();
    ASSERT_TRUE(write(encode_header(Header{5, 1, size})));
    expect_closed(ErrorCode::protocol_violation, "SET_MEM_TABLE");
  }
}

TEST_F(HostilePeer, WrongVersionReplyFlagAndUnknownSizes) {
  for (const Header header :
       {Header{1, 0, 0}, Header{1, 2, 0}, Header{1, 5, 0}, Header{99, 1, 5000}, Header{0, 0, 0}}) {
    received_.clear();
    closed_.reset();
    open();
    ASSERT_TRUE(write(encode_header(header)));
    expect_closed(ErrorCode::protocol_violation, "expected");
  }
}

TEST_F(HostilePeer, DescriptorsWhereNoneBelong) {
  open();
  ASSERT_TRUE(write(with_fds(make_request(FrontEndRequest::get_features), 1)));
  expect_closed(ErrorCode::protocol_violation, "GET_FEATURES: 1 descriptors, expected 0");
}

TEST_F(HostilePeer, NoDescriptorWhereOneBelongs) {
  open();
  ASSERT_TRUE(write(make_request(FrontEndRequest::set_log_fd)));
  expect_closed(ErrorCode::protocol_violation, "SET_LOG_FD: 0 descriptors, expected 1");
}

TEST_F(HostilePeer, DescriptorsInALaterFragment) {
  const auto bytes = encode(make_request(FrontEndRequest::set_features, U64{0}));
  for (const std::size_t split : {1u, 12u, 15u}) {
    received_.clear();
    closed_.reset();
    open();
    ASSERT_TRUE(write(std::span(bytes).first(split)));
    poll();
    Message fd_holder = with_fds(Message(), 1);
    ASSERT_TRUE(write(std::span(bytes).subspan(split), fd_holder.fds()));
    expect_closed(ErrorCode::protocol_violation, "in the middle of a message");
  }
}

TEST_F(HostilePeer, MoreDescriptorsThanAMessageMayBring) {
  for (const std::size_t count : {9u, 250u}) {
    received_.clear();
    closed_.reset();
    open();
    write_with_fds(encode(make_memory_table(std::array<MemoryRegion, 8>{})), count);
    expect_closed(ErrorCode::protocol_violation, "more descriptors");
  }
}

TEST_F(HostilePeer, DescriptorsThatThisProcessHasNoRoomForCloseTheConnection) {
  open();
  ASSERT_TRUE(write(with_fds(make_memory_table(std::array<MemoryRegion, 8>{}), 8)));
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit tight = limit;
  tight.rlim_cur = static_cast<rlim_t>(test::any_fd().get()) + 3;  // the lowest free number and two more
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  poll();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  expect_closed(ErrorCode::protocol_violation, "none free in this process");
}

TEST_F(HostilePeer, EndOfFileInsideAMessage) {
  open();
  const Message message = with_fds(make_memory_table({{MemoryRegion{}}}), 1);
  const auto bytes = encode(message);
  ASSERT_TRUE(write(std::span(bytes).first(20), message.fds()));
  peer_.reset();
  expect_closed(ErrorCode::closed, "20 bytes into a message");
}

TEST_F(HostilePeer, ARequestOnTheChannelForReplies) {
  open(Incoming::replies_to_back_end);
  ASSERT_TRUE(write(make_request(BackEndRequest::config_change_msg)));
  expect_closed(ErrorCode::protocol_violation, "reply flag 0, expected 1");
}

TEST_F(HostilePeer, AFloodLeavesTurnsToOthers) {
  open(Incoming::front_end_requests, {.messages_per_turn = 4});
  int sent = 0;
  while (write(make_request(FrontEndRequest::set_owner))) ++sent;
  ASSERT_GT(sent, 40);
  std::size_t most_between = 0;
  std::size_t seen = 0;
  while (static_cast<int>(received_.size()) < sent) {  // each run_one is one turn
    io_.restart();
    ASSERT_EQ(io_.run_one_for(patience), 1u);
    most_between = std::max(most_between, received_.size() - seen);
    seen = received_.size();
  }
  EXPECT_EQ(most_between, 4u);
}

TEST_F(HostilePeer, NothingMoreIsReadFromAPeerThatTakesNoAnswers) {
  open();
  on_message_ = [this](Message& message) {
    EXPECT_TRUE(channel_->send(make_reply(message.header(), U64{1})));
    received_.clear();
    received_.reserve(1);
  };
  std::size_t asked = 0;
  std::size_t stuck_rounds = 0;
  // Until neither side moves: the answers fill this side's buffer, then the questions fill the peer's.
  while (stuck_rounds < 3) {
    const std::size_t before = asked;
    while (write(make_request(FrontEndRequest::get_features))) ++asked;
    poll();
    stuck_rounds = asked == before ? stuck_rounds + 1 : 0;
  }
  EXPECT_TRUE(channel_->is_open());
  // It reads again, and every question gets its answer.
  constexpr std::size_t answer_bytes = message_header_bytes + sizeof(U64);
  std::array<std::byte, answer_bytes> answer;
  std::size_t answered = 0;
  for (bool more = true; more; poll()) {
    more = false;
    FdList fds;
    while (receive(peer_.get(), answer, fds, Blocking::no).bytes == answer_bytes) {
      ++answered;
      more = true;
    }
  }
  EXPECT_EQ(answered, asked);
}

TEST_F(HostilePeer, DescriptorsThatAreNoUnixStreamSocket) {
  auto [datagram, other] = socket_pair(SOCK_DGRAM);
  UniqueFd inet(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  for (UniqueFd* fd : {&datagram, &inet, &file}) {
    received_.clear();
    closed_.reset();
    adopt(std::move(*fd), Incoming::replies_to_back_end);
    EXPECT_FALSE(closed_) << "told from inside the constructor";
    expect_closed(ErrorCode::protocol_violation, "no Unix stream socket");
  }
}

}  // namespace
}  // namespace vhostx::protocol
