// SPDX-License-Identifier: BSD-3-Clause
// Single messages: their bytes as the specification has them, and what fields can say against the length.
#include "protocol/codec.hpp"

#include <array>
#include <bit>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/protocol/open_fds.hpp"
#include "tests/support/decode.hpp"
#include "tools/front_end/config_messages.hpp"

namespace vhostx::protocol {
namespace {

using test::any_fd;

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

Result<void> check_request(const Message& message) {
  if (auto header = check_header(Incoming::front_end_requests, message.header()); !header) return header.error();
  return check_message(Incoming::front_end_requests, message);
}

TEST(Wire, AVringStateRequest) {
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "the bytes below are little-endian";
  EXPECT_EQ(hex(encode(make_request(FrontEndRequest::set_vring_num, VringState{2, 0x100}, true))),
            "08000000"
            "09000000"
            "08000000"
            "02000000"
            "00010000");
}

TEST(Wire, AnAddressRequestHasUsedBeforeAvailable) {
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "the bytes below are little-endian";
  const VringAddress address{.index = 1, .flags = 0, .descriptor = 0x11, .used = 0x22, .available = 0x33, .log = 0x44};
  EXPECT_EQ(hex(encode(make_request(FrontEndRequest::set_vring_addr, address))),
            "09000000"
            "01000000"
            "28000000"
            "01000000"
            "00000000"
            "1100000000000000"
            "2200000000000000"
            "3300000000000000"
            "4400000000000000");
}

TEST(Wire, AMemoryTableEndsBehindItsLastRegion) {
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "the bytes below are little-endian";
  EXPECT_EQ(hex(encode(make_memory_table({{MemoryRegion{1, 2, 3, 4}}}))),
            "05000000"
            "01000000"
            "28000000"
            "01000000"
            "00000000"
            "0100000000000000"
            "0200000000000000"
            "0300000000000000"
            "0400000000000000");
}

TEST(Wire, AnAcknowledgementHasTheReplyFlag) {
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "the bytes below are little-endian";
  const Message request = make_request(FrontEndRequest::set_owner, true);
  EXPECT_EQ(hex(encode(make_ack(request.header(), 1))),
            "03000000"
            "05000000"
            "08000000"
            "0100000000000000");
}

TEST(MemoryTable, ACountThatClaimsMoreThanTheMessageHasIsRefused) {
  Message message = make_request(FrontEndRequest::set_mem_table, MemoryTableHeader{2, 0});
  message.add_fd(any_fd());
  message.add_fd(any_fd());
  const auto refused = check_request(message);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "SET_MEM_TABLE: 8 bytes of payload for 2 regions, expected 72");
}

TEST(MemoryTable, ACountThatClaimsLessIsRefused) {
  MemoryTablePayload table;
  table.header.count = 1;
  Message message = make_request(FrontEndRequest::set_mem_table, table);
  message.add_fd(any_fd());
  EXPECT_FALSE(check_request(message));
}

TEST(MemoryTable, ACountThatWouldWrapIsRefused) {
  for (const std::uint32_t count : {9u, 0x08000000u, 0x80000000u, 0xffffffffu}) {
    EXPECT_FALSE(check_request(make_request(FrontEndRequest::set_mem_table, MemoryTableHeader{count, 0}))) << count;
  }
}

// The acknowledgement that QEMU sends in post-copy.
TEST(MemoryTable, AnEmptyOneIsWellFormed) { EXPECT_TRUE(check_request(make_memory_table({}))); }

TEST(VringFd, TheNoFdBitAndTheDescriptorMustAgree) {
  Message both = make_request(FrontEndRequest::set_vring_kick, U64{vring_no_fd});
  both.add_fd(any_fd());
  EXPECT_FALSE(check_request(both));
  EXPECT_FALSE(check_request(make_request(FrontEndRequest::set_vring_kick, U64{0})));
  EXPECT_TRUE(check_request(make_request(FrontEndRequest::set_vring_kick, U64{vring_no_fd | 255})));
}

TEST(VringFd, AnIndexAboveItsBitsIsRefusedAndNotCutOff) {
  for (const std::uint64_t value : {std::uint64_t{0x10000}, std::uint64_t{0x200}, std::uint64_t{1} << 63}) {
    Message message = make_request(FrontEndRequest::set_vring_call, U64{value});
    message.add_fd(any_fd());
    EXPECT_FALSE(check_request(message)) << value;
  }
}

TEST(VringIndex, IsReadFromWhateverPayloadNamesAVring) {
  const auto index = [](const Message& message) { return vring_index(Incoming::front_end_requests, message); };
  EXPECT_EQ(index(make_request(FrontEndRequest::set_vring_kick, U64{vring_no_fd | 7})), 7u);
  EXPECT_EQ(index(make_request(FrontEndRequest::set_vring_num, VringState{0xffffffff, 1})), 0xffffffffu);
  EXPECT_EQ(index(make_request(FrontEndRequest::set_vring_addr, VringAddress{.index = 3})), 3u);
  EXPECT_EQ(index(make_request(FrontEndRequest::set_owner)), std::nullopt);
  EXPECT_EQ(index(Message(Header{200, 1, 8})), std::nullopt);
}

TEST(Config, TheSizeFieldMustBeWhatFollows) {
  const std::array<std::byte, 12> bytes{};
  EXPECT_TRUE(check_request(make_config_request(FrontEndRequest::get_config, {0, 0, 0}, bytes)));
  EXPECT_FALSE(check_request(make_request(FrontEndRequest::get_config, ConfigHeader{0, 256, 0})));
  EXPECT_FALSE(check_request(make_request(FrontEndRequest::set_config, ConfigHeader{0, 0xffffffff, 0})));
}

TEST(Config, RepliesMayBeEmptyOrHaveSizeZeroToRefuse) {
  const auto check = [](const Message& reply) { return check_message(Incoming::replies_to_front_end, reply).ok(); };
  const Header request = make_request(FrontEndRequest::get_config).header();
  EXPECT_TRUE(check(make_reply(request, std::span<const std::byte>())));
  EXPECT_TRUE(check(make_reply(request, Config{})));
  EXPECT_TRUE(check(make_config_reply(request, {}, std::array<std::byte, 8>{})));
  for (std::size_t size = 1; size < sizeof(ConfigHeader); ++size) {
    EXPECT_FALSE(check(make_reply(request, std::vector<std::byte>(size)))) << size;
  }
}

TEST(UnknownRequest, ReachesTheSessionWithABoundedPayload) {
  EXPECT_TRUE(check_header(Incoming::front_end_requests, Header{77, 1, payload_bytes_max}));
  EXPECT_FALSE(check_header(Incoming::front_end_requests, Header{77, 1, payload_bytes_max + 1}));
}

TEST(UnknownRequest, IsAnsweredByAStatusAndNothingElse) {
  const Header reply{77, Header::version_1 | Header::reply, 8};
  EXPECT_TRUE(check_header(Incoming::replies_to_front_end, reply));
  EXPECT_FALSE(check_header(Incoming::replies_to_front_end, Header{77, reply.flags, 0}));
  EXPECT_FALSE(check_header(Incoming::replies_to_front_end, Header{77, reply.flags, 16}));
  Message with_fd(reply);
  EXPECT_TRUE(check_message(Incoming::replies_to_front_end, with_fd));
  with_fd.add_fd(any_fd());
  EXPECT_FALSE(check_message(Incoming::replies_to_front_end, with_fd));
}

TEST(MessageTest, PayloadAsWantsTheExactLength) {
  const Message message = make_request(FrontEndRequest::set_features, U64{5});
  EXPECT_EQ(message.payload_as<U64>()->value, 5u);
  const auto wrong = message.payload_as<LogBase>();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "payload of request 2 has 8 bytes, expected 16");
}

TEST(MessageTest, PaddedPayloadsAreZeroBehindTheirEnd) {
  Message message = make_request(FrontEndRequest::set_features, U64{5});
  const auto log = message.payload_padded_as<LogBase>();
  EXPECT_EQ(log.mmap_size, 5u);
  EXPECT_EQ(log.mmap_offset, 0u);
}

TEST(MessageTest, OwnsItsDescriptorsThroughMoves) {
  const auto before = test::open_fds();
  {
    Message first = make_request(FrontEndRequest::set_log_fd);
    EXPECT_TRUE(first.add_fd(any_fd()));
    Message second = std::move(first);
    EXPECT_EQ(first.fd_count(), 0u);  // NOLINT(bugprone-use-after-move): a moved-from message is empty
    EXPECT_EQ(second.fd_count(), 1u);
    first = std::move(second);
    const UniqueFd taken = first.take_fd();
    EXPECT_TRUE(taken);
    EXPECT_FALSE(first.take_fd());
    EXPECT_FALSE(first.take_fd(5));
    for (std::size_t i = first.fd_count(); i < fds_max; ++i) EXPECT_TRUE(first.add_fd(any_fd()));
    EXPECT_FALSE(first.add_fd(any_fd()));
  }
  EXPECT_EQ(test::open_fds(), before);
}

TEST(Decode, BytesShorterThanAHeaderAreRefused) {
  const std::array<std::byte, 11> bytes{};
  EXPECT_FALSE(decode(Incoming::front_end_requests, bytes, {}));
  EXPECT_FALSE(decode(Incoming::front_end_requests, {}, {}));
}

}  // namespace
}  // namespace vhostx::protocol
