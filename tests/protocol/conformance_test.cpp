// SPDX-License-Identifier: BSD-3-Clause
// Generated from the table: every request and every reply, too short, exact, too long, with 0 to 9 descriptors, with
// other versions and the wrong reply flag.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/codec.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/decode.hpp"

namespace vhostx::protocol {
namespace {

struct Case {
  Incoming incoming;
  const RequestRow* row;

  const PayloadShape& shape() const { return is_reply(incoming) ? row->reply_payload : row->payload; }
  const FdCount& fds() const { return is_reply(incoming) ? row->reply_fds : row->fds; }
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& row : front_end_rows()) {
    cases.push_back({Incoming::front_end_requests, &row});
    cases.push_back({Incoming::replies_to_front_end, &row});
  }
  for (const auto& row : back_end_rows()) {
    cases.push_back({Incoming::back_end_requests, &row});
    cases.push_back({Incoming::replies_to_back_end, &row});
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.row->name) + (is_reply(info.param.incoming) ? "_reply" : "");
}

Header header_of(const Case& c, std::uint32_t size) {
  return {c.row->id, Header::version_1 | (is_reply(c.incoming) ? Header::reply : 0), size};
}

// Lengths that the row allows: all of them where there are few, else the ends.
std::vector<std::uint32_t> legal_lengths(const Case& c) {
  const PayloadShape& shape = c.shape();
  if (shape.step == 1) return {shape.min, shape.max};
  std::vector<std::uint32_t> lengths;
  for (std::uint32_t size = shape.min; size <= shape.max; size += shape.step) lengths.push_back(size);
  return lengths;
}

// A payload of this length whose fields agree with it and with `fd_count`, where fields can.
std::vector<std::byte> payload_of(const Case& c, std::uint32_t size, std::size_t fd_count) {
  std::vector<std::byte> payload(size, std::byte{0});
  const auto put = [&payload](std::size_t offset, auto value) {
    if (offset + sizeof value <= payload.size()) std::memcpy(payload.data() + offset, &value, sizeof value);
  };
  switch (c.shape().kind) {
    case PayloadKind::memory_table:
      put(0, (size - 8) / 32);
      break;
    case PayloadKind::vring_fd:
    case PayloadKind::vring_area:
      put(0, fd_count == 0 ? vring_no_fd : std::uint64_t{0});
      break;
    case PayloadKind::config:
      if (size >= 12) put(4, size - 12);
      break;
    default:
      break;
  }
  return payload;
}

std::vector<std::byte> bytes_of(const Header& header, const std::vector<std::byte>& payload) {
  const auto head = encode_header(header);
  std::vector<std::byte> bytes(head.size() + payload.size());
  std::ranges::copy(payload, std::ranges::copy(head, bytes.begin()).out);
  return bytes;
}

std::vector<UniqueFd> some_fds(std::size_t count) {
  std::vector<UniqueFd> fds;
  for (std::size_t i = 0; i < count; ++i) fds.push_back(test::any_fd());
  return fds;
}

// How many descriptors a message of this length must bring; the fewest the row allows where the payload does not say.
std::size_t right_fd_count(const Case& c, std::uint32_t size) {
  if (c.shape().kind == PayloadKind::memory_table && !is_reply(c.incoming)) return (size - 8) / 32;
  return c.fds().min;
}

class Conformance : public testing::TestWithParam<Case> {
 protected:
  void expect_refused(const Result<Message>& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::protocol_violation);
    EXPECT_NE(result.error().message.find(GetParam().row->name), std::string::npos) << result.error().message;
  }
};

TEST_P(Conformance, EveryLegalLengthDecodesAndEncodesToTheSameBytes) {
  const Case& c = GetParam();
  for (const std::uint32_t size : legal_lengths(c)) {
    const std::size_t fd_count = right_fd_count(c, size);
    const auto bytes = bytes_of(header_of(c, size), payload_of(c, size, fd_count));
    auto message = decode(c.incoming, bytes, some_fds(fd_count));
    ASSERT_TRUE(message) << message.error().message;
    EXPECT_EQ(message->fd_count(), fd_count);
    EXPECT_EQ(encode(*message), bytes);
  }
}

TEST_P(Conformance, OtherLengthsAreRefusedByTheHeaderAlone) {
  const Case& c = GetParam();
  std::vector<std::uint32_t> lengths{
      c.shape().max + 1, c.shape().max + c.shape().step, 4096 + 13, 0x7fffffff, 0x80000000u, 0xffffffffu};
  if (c.shape().min > 0) lengths.insert(lengths.end(), {c.shape().min - 1, 0});
  if (c.shape().step > 1) lengths.push_back(c.shape().min + 1);
  for (const std::uint32_t size : lengths) {
    const auto checked = check_header(c.incoming, header_of(c, size));
    ASSERT_FALSE(checked) << size;
    EXPECT_NE(checked.error().message.find(c.row->name), std::string::npos) << checked.error().message;
    EXPECT_NE(checked.error().message.find("expected"), std::string::npos) << checked.error().message;
  }
}

TEST_P(Conformance, BytesThatDoNotFitTheHeaderAreRefused) {
  const Case& c = GetParam();
  const std::uint32_t size = legal_lengths(c).back();
  auto bytes = bytes_of(header_of(c, size), payload_of(c, size, right_fd_count(c, size)));
  bytes.push_back(std::byte{0});
  expect_refused(decode(c.incoming, bytes, some_fds(right_fd_count(c, size))));
  bytes.pop_back();
  bytes.pop_back();
  EXPECT_FALSE(decode(c.incoming, bytes, some_fds(right_fd_count(c, size))));
}

TEST_P(Conformance, DescriptorsAreAsManyAsTheRowSaysOrAllClosed) {
  const Case& c = GetParam();
  const std::uint32_t size = legal_lengths(c).back();
  const auto before = test::open_fds();
  for (std::size_t count = 0; count <= fds_max + 1; ++count) {
    const auto bytes = bytes_of(header_of(c, size), payload_of(c, size, count));
    const auto message = decode(c.incoming, bytes, some_fds(count));
    const bool legal = c.shape().kind == PayloadKind::memory_table && !is_reply(c.incoming)
                           ? count == right_fd_count(c, size)
                           : c.fds().allows(count);
    EXPECT_EQ(message.ok(), legal) << count << " descriptors";
  }
  EXPECT_EQ(test::open_fds(), before);
}

TEST_P(Conformance, OtherVersionsAreRefused) {
  const Case& c = GetParam();
  const std::uint32_t size = legal_lengths(c).front();
  for (const std::uint32_t version : {0u, 2u, 3u}) {
    Header header = header_of(c, size);
    header.flags = (header.flags & ~Header::version_mask) | version;
    expect_refused(decode(c.incoming, bytes_of(header, payload_of(c, size, 0)), {}));
  }
}

TEST_P(Conformance, TheWrongReplyFlagIsRefused) {
  const Case& c = GetParam();
  const std::uint32_t size = legal_lengths(c).front();
  Header header = header_of(c, size);
  header.flags ^= Header::reply;
  expect_refused(decode(c.incoming, bytes_of(header, payload_of(c, size, 0)), {}));
}

INSTANTIATE_TEST_SUITE_P(EveryMessage, Conformance, testing::ValuesIn(all_cases()), case_name);

}  // namespace
}  // namespace vhostx::protocol
