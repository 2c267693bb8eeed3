// SPDX-License-Identifier: BSD-3-Clause
// The keeper's messages without sockets: what is encoded decodes to the same, and nothing else decodes.
#include "continuity/keeper_protocol.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace vhostx::continuity {
namespace {

const std::string name = "/run/vhostx/vm0.sock";

std::vector<std::uint32_t> ascending(std::uint32_t count) {
  std::vector<std::uint32_t> slots(count);
  std::iota(slots.begin(), slots.end(), 0);
  return slots;
}

std::vector<Request> all_requests() {
  return {Hello{},
          Claim{name, ClaimHow::hand_over},
          Cancel{name},
          Hold{name, 7},
          Drop{name, 0xffffffff},
          Forget{name},
          Release{name},
          Park{name, 5000},
          List{},
          Settle{name},
          Ask{name},
          Look{name, 1, std::uint64_t{1} << 40},
          Prepare{name}};
}

std::vector<Reply> all_replies() {
  return {Welcome{},
          Granted{name, 3, 1, {4, 9}},
          Granted{name, 0, 0, {}},
          Refused{name, 17},
          YieldAsked{name, 18},
          Cancelled{name},
          Listed{{name, ascending(slots_max), true, 1, 2, 3, 4, 0}},
          ListEnd{6},
          Failed{PacketType::hold, ErrorCode::busy, name, "why"},
          Failed{PacketType::hello, ErrorCode::timed_out, "", ""},
          Settled{name, 19},
          Prepared{{name, 3, 1, {4, 9}}},
          GrantedPrepared{name},
          Changed{name},
          Shown{},
          Shown{std::vector<std::byte>(shown_bytes_max, std::byte{7})}};
}

TEST(KeeperProtocol, WhatIsEncodedDecodesToTheSame) {
  for (const auto& request : all_requests()) {
    const auto bytes = encode({42, request});
    const auto decoded = decode_request(bytes, fds_of(request));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(decoded->tag, 42u);
    EXPECT_EQ(type_of(decoded->body), type_of(request));
    EXPECT_EQ(encode(*decoded), bytes);
  }
  for (const auto& reply : all_replies()) {
    const auto bytes = encode({43, reply});
    EXPECT_LE(bytes.size(), packet_bytes_max);
    const auto decoded = decode_reply(bytes, fds_of(reply));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(encode(*decoded), bytes);
  }
}

TEST(KeeperProtocol, APacketEndsWhereItsLastFieldDoes) {
  for (const auto& request : all_requests()) {
    auto bytes = encode({1, request});
    for (std::size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(decode_request(std::span(bytes).first(length), fds_of(request)).ok()) << length;
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode_request(bytes, fds_of(request)).ok());
  }
  for (const auto& reply : all_replies()) {
    auto bytes = encode({1, reply});
    for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 64)
      EXPECT_FALSE(decode_reply(std::span(bytes).first(length), fds_of(reply)).ok()) << length;
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode_reply(bytes, fds_of(reply)).ok());
  }
}

TEST(KeeperProtocol, DescriptorsComeWithWhatNamesThem) {
  EXPECT_FALSE(decode_request(encode({1, Request{Hold{name, 1}}}), 0).ok());
  EXPECT_FALSE(decode_request(encode({1, Request{Hold{name, 1}}}), 2).ok());
  EXPECT_FALSE(decode_request(encode({1, Request{List{}}}), 1).ok());
  EXPECT_FALSE(decode_reply(encode({1, Reply{Granted{name, 3, 1, {4, 9}}}}), 1).ok());
  EXPECT_FALSE(decode_reply(encode({1, Reply{Prepared{{name, 3, 1, {4, 9}}}}}), 1).ok());
  EXPECT_FALSE(decode_reply(encode({1, Reply{GrantedPrepared{name}}}), 1).ok());
  EXPECT_EQ(decode_reply(encode({1, Reply{Welcome{}}}), 1).error().message, "WELCOME: 1 descriptors came, expected 0");
  EXPECT_FALSE(decode_reply(encode({1, Reply{Shown{}}}), 1).ok());
}

// The byte at `offset` of a good packet becomes `value`: the error's text.
std::string refusal(const Request& request, std::size_t offset, std::uint8_t value) {
  auto bytes = encode({1, request});
  bytes.at(offset) = std::byte{value};
  const auto decoded = decode_request(bytes, fds_of(request));
  return decoded ? "" : decoded.error().message;
}

TEST(KeeperProtocol, ValuesOutOfRangeAreRefused) {
  EXPECT_EQ(refusal(List{}, 0, 77), "a packet has the unknown type 77");
  EXPECT_EQ(refusal(List{}, 2, 1), "a packet's reserved bytes are 1, expected 0");
  EXPECT_EQ(refusal(Forget{name}, 8, 0), "FORGET: a text is too short or too long");
  EXPECT_EQ(refusal(Forget{name}, 8, 108), "FORGET: a text is too short or too long");
  EXPECT_EQ(refusal(Forget{name}, 10, 0), "FORGET: a text has a zero byte");
  EXPECT_EQ(refusal(Claim{name}, 10 + name.size(), 3), "CLAIM: a choice is unknown");
}

TEST(KeeperProtocol, WhatIsShownHasABound) {
  auto bytes = encode({1, Reply{Shown{std::vector<std::byte>(shown_bytes_max)}}});
  ASSERT_EQ(bytes.at(9), std::byte{0x20});  // of the length, 0x2000
  bytes[8] = std::byte{1};
  bytes.push_back(std::byte{0});
  EXPECT_EQ(decode_reply(bytes, 0).error().message, "SHOWN: a row of bytes is too long");
}

TEST(KeeperProtocol, AGrantAddsUp) {
  const auto refused = [](const Granted& grant) {
    const auto decoded = decode_reply(encode({1, Reply{grant}}), grant.slots.size());
    return decoded ? "" : decoded.error().message;
  };
  EXPECT_EQ(refused({name, slots_max + 1, 0, {1}}), "GRANTED: more slots than a bundle has");
  EXPECT_EQ(refused({name, 2, 1, {1, 2}}), "GRANTED: more slots than it says in all");
  EXPECT_EQ(refused({name, 2, 3, {}}), "GRANTED: more slots than it says in all");
  EXPECT_EQ(refused({name, 2, 1, {}}), "GRANTED: no slots");
  EXPECT_EQ(refused({name, 4, 1, {2, 1}}), "GRANTED: slots are not in ascending order");
  EXPECT_EQ(refused({name, 4, 1, {2, 2}}), "GRANTED: slots are not in ascending order");
  EXPECT_EQ(decode_reply(encode({1, Reply{Prepared{{name, 2, 1, {}}}}}), 0).error().message, "PREPARED: no slots");
}

TEST(KeeperProtocol, NamesHaveBounds) {
  EXPECT_TRUE(check_name("x").ok());
  EXPECT_TRUE(check_name(std::string(107, 'x')).ok());
  EXPECT_EQ(check_name("").error().message, "the name of a bundle has 0 bytes, expected 1 to 107");
  EXPECT_EQ(check_name(std::string(108, 'x')).error().message, "the name of a bundle has 108 bytes, expected 1 to 107");
  EXPECT_FALSE(check_name(std::string_view("a\0b", 3)).ok());
}

TEST(KeeperProtocol, TypesHaveNames) {
  EXPECT_STREQ(to_string(PacketType::hello), "HELLO");
  EXPECT_STREQ(to_string(PacketType::list), "LIST");
  EXPECT_STREQ(to_string(PacketType::look), "LOOK");
  EXPECT_STREQ(to_string(PacketType::prepare), "PREPARE");
  EXPECT_STREQ(to_string(PacketType::changed), "CHANGED");
  EXPECT_STREQ(to_string(PacketType::failed), "FAILED");
  EXPECT_STREQ(to_string(PacketType::shown), "SHOWN");
  EXPECT_STREQ(to_string(static_cast<PacketType>(50)), "UNKNOWN");
  EXPECT_STREQ(to_string(static_cast<PacketType>(0)), "UNKNOWN");
}

}  // namespace
}  // namespace vhostx::continuity
