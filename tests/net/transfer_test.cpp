// SPDX-License-Identifier: BSD-3-Clause
// Guest to guest: what one guest sent, however it lay, is what the other receives, and the head is what was decided on.
#include <algorithm>
#include <array>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/receiver.hpp"
#include "tests/net/sender.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::legacy;
using test::mergeable;
using test::pattern;
using test::plain;
using test::Receiver;
using test::Sender;

/// Pieces of `each` bytes, `count` of them; what is left goes into one more.
std::vector<std::size_t> cut(std::size_t count, std::size_t each) { return std::vector<std::size_t>(count, each); }

/// The features of the sender and of the receiver.
class TransferShapes : public ::testing::TestWithParam<std::tuple<std::uint64_t, std::uint64_t>> {
 protected:
  TransferShapes() { test::start_eal(); }
  Sender sender_{std::get<0>(GetParam()), {{0x7000'0000, std::size_t{8} << 20}}, 1024};
  Receiver receiver_{std::get<1>(GetParam())};

  /// All that was sent, moved and given back in bursts, until the ring is empty.
  void transfer() {
    for (std::uint16_t found; (found = sender_.peek()) != 0;) {
      ASSERT_EQ(sender_.move_to(receiver_.context()), found);
      sender_.give_back(found);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Headers, TransferShapes,
                         ::testing::Combine(::testing::Values(mergeable, legacy),
                                            ::testing::Values(mergeable, plain, legacy)));

TEST_P(TransferShapes, EverySizeInOnePieceAndInTwo) {
  const std::size_t header = header_length(sender_.features);
  for (std::size_t first = 14; first < 400; first += 29) {
    std::vector<Bytes> sent;
    for (std::size_t length = first; length < first + 29; ++length) {
      sent.push_back(pattern(length, static_cast<std::uint8_t>(length)));
      sender_.send(sent.back(), {}, length % 2 == 0 ? cut(1, header) : cut(0, 0), length % 3 == 0);
    }
    receiver_.post(29, 500);
    transfer();
    ASSERT_EQ(test::packets_of(receiver_.receive()), sent);
    sender_.driver.reap();
  }
}

TEST_P(TransferShapes, CutIntoManyPieces) {
  const std::size_t header = header_length(sender_.features);
  std::vector<Bytes> sent;
  for (const auto& cuts : {cut(header, 1), cut(30, 3), cut(3, 50), cut(60, 10), cut(1, 1), cut(200, 7), cut(41, 1),
                           cut(40, 37), cut(100, 1)}) {
    sent.push_back(pattern(1514, static_cast<std::uint8_t>(sent.size())));
    sender_.send(sent.back(), {}, cuts, sent.size() % 2 == 0);
  }
  receiver_.post(static_cast<int>(sent.size()), 2000);
  transfer();
  EXPECT_EQ(test::packets_of(receiver_.receive()), sent);
  EXPECT_EQ(sender_.driver.reap().size(), sent.size());
  EXPECT_EQ(sender_.count(VringCounter::packets), sent.size());
  EXPECT_EQ(sender_.count(VringCounter::bytes), sent.size() * 1514);
  EXPECT_EQ(receiver_.count(VringCounter::packets), sent.size());
  EXPECT_EQ(receiver_.count(VringCounter::bytes), sent.size() * 1514);
  EXPECT_EQ(receiver_.count(VringCounter::moved), sent.size());
}

TEST_P(TransferShapes, TheLargestPackets) {
  const std::size_t header = header_length(sender_.features);
  for (const std::size_t length : {std::size_t{65535}, std::size_t{65536}, std::size_t{packet_bytes_max}})
    for (const auto& cuts : {cut(0, 0), cut(1, header), cut(1, 65535 + header), cut(17, 3800), cut(300, 200)}) {
      const Bytes packet = pattern(length);
      sender_.send(packet, {}, cuts);
      receiver_.post(1, 70000);
      transfer();
      ASSERT_EQ(test::packets_of(receiver_.receive()), std::vector<Bytes>{packet}) << length;
      sender_.driver.reap();
    }
}

TEST_P(TransferShapes, OneByteTooManyIsDropped) {
  sender_.send(pattern(packet_bytes_max + 1));
  sender_.send(pattern(packet_bytes_max + 1), {}, cut(50, 1000));
  sender_.send(pattern(60));
  receiver_.post(3, 70000);
  transfer();
  EXPECT_EQ(test::packets_of(receiver_.receive()), std::vector<Bytes>{pattern(60)});
  EXPECT_EQ(sender_.count(VringCounter::drop_too_large), 2U);
  EXPECT_EQ(sender_.driver.reap().size(), 3U);
}

TEST_P(TransferShapes, IntoSmallBuffers) {
  if (std::get<1>(GetParam()) != mergeable) GTEST_SKIP() << "buffers are not merged";
  const Bytes packet = pattern(65535);
  sender_.send(packet, {}, cut(18, 3500));
  receiver_.post(60, 1500);
  transfer();
  EXPECT_EQ(test::packets_of(receiver_.receive()), std::vector<Bytes>{packet});
}

TEST(Transfer, OverBordersOfRegions) {
  test::start_eal();
  Sender sender(mergeable, {{0x1'0000, 0x1'0000}, {0x2'0000, 0x1'0000}}, 64);
  const Bytes packet = pattern(300);
  for (std::uint64_t before = 1; before < 312; before += 5) {
    const std::uint64_t start = 0x2'0000 - before;
    for (std::size_t i = 0; i < 12; ++i) *sender.guest.at(start + i) = 0;
    for (std::size_t i = 0; i < packet.size(); ++i) *sender.guest.at(start + 12 + i) = packet[i];
    sender.driver.chain().raw(start, 312).publish();
    Receiver receiver;
    receiver.post(1, 500);
    ASSERT_EQ(sender.peek(), 1);
    ASSERT_EQ(sender.move_to(receiver.context()), 1);
    sender.give_back(1);
    ASSERT_EQ(test::packets_of(receiver.receive()), std::vector<Bytes>{packet}) << before;
    sender.driver.reap();
  }
}

/// What was looked at is what is delivered, wherever the guest has its packet and whatever it writes there meanwhile.
TEST(Transfer, TheHeadIsPrivate) {
  test::start_eal();
  for (const auto& cuts : {cut(0, 0), cut(1, 12), cut(5, 30), cut(100, 3)}) {
    Sender sender;
    Receiver receiver;
    receiver.post(1, 2000);
    sender.send(pattern(1000), {}, cuts);
    ASSERT_EQ(sender.peek(), 1);
    const PeekedPacket& seen = sender.burst->packets[0];
    ASSERT_EQ(seen.length, 1000U);
    ASSERT_EQ(seen.head_length, peeked_head_bytes);
    const Bytes decided(seen.head, seen.head + seen.head_length);
    EXPECT_EQ(decided, [] {
      Bytes all = pattern(1000);
      all.resize(peeked_head_bytes);
      return all;
    }());
    // The driver writes over all that it had posted, and over the descriptors.
    for (std::uint64_t at = 0; at < 0x10'0000; ++at)
      if (*sender.guest.at(0x7000'0000 + at) != 0) *sender.guest.at(0x7000'0000 + at) = 0xee;
    ASSERT_EQ(sender.move_to(receiver.context()), 1);
    const auto got = receiver.receive();
    ASSERT_EQ(got.size(), 1U);
    ASSERT_EQ(got[0].bytes.size(), 1000U);
    EXPECT_EQ(Bytes(got[0].bytes.begin(), got[0].bytes.begin() + peeked_head_bytes), decided);
    EXPECT_EQ(got[0].header, (VirtioNetHeader{.num_buffers = 1}));
  }
}

TEST(Transfer, AnEditedHeadIsDelivered) {
  test::start_eal();
  Sender sender;
  Receiver receiver;
  receiver.post(1, 2000);
  sender.send(pattern(1000));
  ASSERT_EQ(sender.peek(), 1);
  std::fill_n(sender.burst->packets[0].head, 12, std::uint8_t{0xaa});
  ASSERT_EQ(sender.move_to(receiver.context()), 1);
  Bytes expected = pattern(1000);
  std::fill_n(expected.begin(), 12, std::uint8_t{0xaa});
  EXPECT_EQ(test::packets_of(receiver.receive()), std::vector<Bytes>{expected});
}

TEST(Transfer, WhatIsNotGivenBackComesAgain) {
  test::start_eal();
  Sender sender;
  for (std::uint8_t i = 0; i < 10; ++i) sender.send(pattern(60U + i, i), {}, cut(i % 3, 12));
  std::size_t used = 0;
  for (std::uint16_t expected = 10, done = 0; expected > 0; ++done) {
    ASSERT_EQ(sender.peek(), expected);
    EXPECT_EQ(sender.burst->packets[0].length, 70U - expected);
    const std::uint16_t now = std::min<std::uint16_t>(done, expected);
    sender.give_back(now);
    expected = static_cast<std::uint16_t>(expected - now);
    used += sender.driver.reap().size();
    EXPECT_EQ(used, 10U - expected);
  }
  EXPECT_EQ(sender.count(VringCounter::packets), 10U);
  EXPECT_EQ(sender.count(VringCounter::bytes), 645U);
  EXPECT_EQ(sender.peek(), 0);
}

TEST(Transfer, DropsAreCountedOnceWhenTheyAreGivenBack) {
  test::start_eal();
  Sender sender;
  const VirtioNetHeader lie{.flags = header_needs_csum};  // CSUM was not negotiated
  sender.send(pattern(5));
  sender.send(pattern(60, 1));
  sender.send(pattern(60), lie);
  sender.send(pattern(60), lie, cut(2, 20));
  sender.send(pattern(60, 2));
  sender.send(pattern(13));
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(sender.peek(), 2);
    sender.give_back(0);
    EXPECT_EQ(sender.count(VringCounter::drop_bad_header), 0U);
  }
  ASSERT_EQ(sender.peek(), 2);
  sender.give_back(1);
  EXPECT_EQ(sender.driver.reap().size(), 4U);  // with the drops on both of its sides
  EXPECT_EQ(sender.count(VringCounter::drop_short_chain), 1U);
  EXPECT_EQ(sender.count(VringCounter::drop_bad_header), 2U);
  ASSERT_EQ(sender.peek(), 1);
  sender.give_back(1);
  EXPECT_EQ(sender.driver.reap().size(), 2U);
  EXPECT_EQ(sender.count(VringCounter::drop_short_chain), 2U);
  EXPECT_EQ(sender.count(VringCounter::packets), 2U);
}

TEST(Transfer, ABurstOfDropsAloneIsGivenBackAtOnce) {
  test::start_eal();
  Sender sender;
  for (int i = 0; i < 70; ++i) sender.send(pattern(5));
  const BurstResult result = peek(sender.context(), 32, *sender.burst);
  EXPECT_EQ(result.packets, 0);
  EXPECT_TRUE(result.needs_call);
  EXPECT_EQ(sender.driver.reap().size(), 70U);
  EXPECT_EQ(sender.count(VringCounter::drop_short_chain), 70U);
}

TEST(Transfer, AFullReceiverTakesTheRestLater) {
  test::start_eal();
  Sender sender;
  Receiver receiver;
  std::vector<Bytes> sent;
  for (std::uint8_t i = 0; i < 8; ++i) sender.send(sent.emplace_back(pattern(300, i)), {}, cut(i % 4, 40));
  receiver.post(3, 500);
  ASSERT_EQ(sender.peek(), 8);
  EXPECT_EQ(sender.move_to(receiver.context()), 3);
  EXPECT_EQ(receiver.count(VringCounter::stall_no_buffer), 1U);
  receiver.post(5, 500);
  const std::array<std::uint8_t, 5> rest{3, 4, 5, 6, 7};
  EXPECT_EQ(move(receiver.context(), *sender.burst, rest.data(), 5).packets, 5);
  EXPECT_EQ(test::packets_of(receiver.receive()), sent);
}

TEST(Transfer, PacketsGoWhereTheyAreSentInTheOrderGiven) {
  test::start_eal();
  Sender sender;
  Receiver one, other;
  for (std::uint8_t i = 0; i < 6; ++i) sender.send(pattern(200, i), {}, cut(i % 2 == 0 ? 0 : 3, 50));
  one.post(6, 500);
  other.post(6, 500);
  ASSERT_EQ(sender.peek(), 6);
  const std::array<std::uint8_t, 3> even{4, 0, 2};
  const std::array<std::uint8_t, 4> odd{1, 3, 5, 3};
  EXPECT_EQ(move(one.context(), *sender.burst, even.data(), 3).packets, 3);
  EXPECT_EQ(move(other.context(), *sender.burst, odd.data(), 4).packets, 4);
  EXPECT_EQ(test::packets_of(one.receive()), (std::vector<Bytes>{pattern(200, 4), pattern(200, 0), pattern(200, 2)}));
  EXPECT_EQ(test::packets_of(other.receive()),
            (std::vector<Bytes>{pattern(200, 1), pattern(200, 3), pattern(200, 5), pattern(200, 3)}));
}

TEST(Transfer, TheReceiversMtuHolds) {
  test::start_eal();
  Sender sender;
  Receiver receiver;
  receiver.frame_max = 1522;
  receiver.post(4, 4000);
  sender.send(pattern(1523));
  sender.send(pattern(1522));
  sender.send(pattern(1523), {}, cut(3, 100));
  ASSERT_EQ(sender.peek(), 3);
  EXPECT_EQ(sender.move_to(receiver.context()), 3);
  EXPECT_EQ(receiver.count(VringCounter::drop_too_large), 2U);
  EXPECT_EQ(receiver.count(VringCounter::moved), 1U);
  EXPECT_EQ(test::packets_of(receiver.receive()), std::vector<Bytes>{pattern(1522)});
}

TEST(Transfer, ALyingReceiverCostsTheSenderNothing) {
  test::start_eal();
  Sender sender;
  Receiver receiver;
  receiver.post(1, 500);
  receiver.driver.chain().raw(0, 500, virtqueue::Descriptor::write_flag).publish();
  for (std::uint8_t i = 0; i < 3; ++i) sender.send(pattern(100, i));
  ASSERT_EQ(sender.peek(), 3);
  EXPECT_EQ(sender.move_to(receiver.context()), 1);
  EXPECT_EQ(receiver.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(sender.cursor.fault.cause, VringFaultCause::none);
  sender.give_back(1);
  EXPECT_EQ(sender.peek(), 2);
}

TEST(Transfer, ALyingSenderBreaksAfterWhatCameBefore) {
  test::start_eal();
  Sender sender;
  Receiver receiver;
  receiver.post(3, 500);
  sender.send(pattern(100));
  const std::uint16_t liar = sender.driver.chain().readable(Bytes(72)).raw(0, 10).publish();
  sender.send(pattern(100));
  ASSERT_EQ(sender.peek(), 1);
  EXPECT_EQ(sender.cursor.fault.cause, VringFaultCause::none);
  EXPECT_EQ(sender.move_to(receiver.context()), 1);
  sender.give_back(1);
  EXPECT_EQ(sender.peek(), 0);
  EXPECT_EQ(sender.cursor.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(sender.cursor.fault.head, liar);
  EXPECT_EQ(sender.driver.reap().size(), 1U);
}

}  // namespace
}  // namespace vhostx::net
