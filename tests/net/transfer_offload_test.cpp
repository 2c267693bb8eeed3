// SPDX-License-Identifier: BSD-3-Clause
// Offloads from guest to guest: whatever the two copies of dequeue and enqueue make of a packet, one copy makes too.
#include <atomic>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/net/packets.hpp"
#include "tests/net/receiver.hpp"
#include "tests/net/sender.hpp"

namespace vhostx::net {
namespace {

using test::Bytes;
using test::Received;
using test::Receiver;
using test::Sender;
using test::TestPacket;

constexpr std::uint64_t sender_features = feature_version_1 | feature_mrg_rxbuf | feature_csum | feature_host_tso4 |
                                          feature_host_tso6 | feature_host_ecn | feature_host_uso;
constexpr std::uint64_t large_features = feature_guest_csum | feature_guest_tso4 | feature_guest_tso6 |
                                         feature_guest_ecn | feature_guest_uso4 | feature_guest_uso6;

VirtioNetHeader checksum_header(const TestPacket& packet) {
  return {.flags = header_needs_csum,
          .csum_start = static_cast<std::uint16_t>(packet.l4),
          .csum_offset = static_cast<std::uint16_t>(packet.checksum_field() - packet.l4)};
}

VirtioNetHeader large_header(const TestPacket& packet, std::uint16_t size) {
  VirtioNetHeader header = checksum_header(packet);
  header.gso_type = packet.shape.protocol == test::udp ? gso_udp_l4 : packet.shape.ipv6 ? gso_tcpv6 : gso_tcpv4;
  header.gso_size = size;
  return header;
}

class TransferOffload : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  TransferOffload() { test::start_eal(); }

  static void post(Receiver& receiver) {
    receiver.post(20, (receiver.features & feature_mrg_rxbuf) != 0 ? 1600 : 9000);
  }
  static std::vector<Received> by_two_copies(Sender& sender, Receiver& receiver) {
    rte_mbuf* mbuf = nullptr;
    if (dequeue(sender.context(), test::test_pool(), &mbuf, 1).packets == 0) return {};
    EXPECT_EQ(receiver.enqueue({mbuf}), 1);
    rte_pktmbuf_free(mbuf);
    return receiver.receive();
  }
  static std::vector<Received> by_one_copy(Sender& sender, Receiver& receiver) {
    if (sender.peek() == 0) return {};
    EXPECT_EQ(sender.move_to(receiver.context()), 1);
    sender.give_back(1);
    return receiver.receive();
  }

  /// Both ways give the same packets, headers and counters.
  static void compare(const TestPacket& packet, const VirtioNetHeader& header, const std::vector<std::size_t>& cuts) {
    Sender sender(sender_features), other_sender(sender_features);
    Receiver receiver(GetParam()), other_receiver(GetParam());
    post(receiver);
    post(other_receiver);
    sender.send(packet.bytes, header, cuts);
    other_sender.send(packet.bytes, header, cuts);
    const auto expected = by_two_copies(other_sender, other_receiver);
    const auto got = by_one_copy(sender, receiver);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_TRUE(got[i] == expected[i]) << i;
    for (const auto& row : vring_counters) {
      if (row.id == VringCounter::moved) continue;
      EXPECT_EQ(sender.count(row.id), other_sender.count(row.id)) << row.name;
      EXPECT_EQ(receiver.count(row.id), other_receiver.count(row.id)) << row.name;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Receivers, TransferOffload,
                         ::testing::Values(feature_version_1 | feature_mrg_rxbuf | large_features,
                                           feature_version_1 | feature_mrg_rxbuf | feature_guest_csum,
                                           feature_version_1 | feature_mrg_rxbuf, feature_version_1, feature_guest_csum,
                                           0));

TEST_P(TransferOffload, PartialChecksums) {
  for (const auto& shape : test::all_shapes(1300)) {
    const TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
    for (const auto& cuts : {std::vector<std::size_t>{}, {12}, {12, 54, 600}, {7, 30, 30, 300, 300}})
      compare(packet, checksum_header(packet), cuts);
  }
}

TEST_P(TransferOffload, LargeSegments) {
  for (const auto& shape : test::all_shapes(7000)) {
    const TestPacket packet = test::with_pseudo_sum(test::make_packet(shape));
    for (const auto& cuts : {std::vector<std::size_t>{}, {12}, {12, 54, 4096, 2000}})
      compare(packet, large_header(packet, 1400), cuts);
  }
}

/// A checksum that no receive flag can describe is completed when the packet is looked at, in private memory.
TEST_P(TransferOffload, ChecksumsOfOtherProtocols) {
  TestPacket packet = test::make_packet({.payload = 1300});
  for (const std::uint16_t start : {std::uint16_t{34}, std::uint16_t{200}, std::uint16_t{700}}) {
    VirtioNetHeader header = checksum_header(packet);
    header.csum_start = start;
    header.csum_offset = 3;
    for (const auto& cuts : {std::vector<std::size_t>{}, {12}, {12, 54, 600}}) compare(packet, header, cuts);
  }
}

TEST_P(TransferOffload, HeadersThatLie) {
  const TestPacket packet = test::with_pseudo_sum(test::make_packet({.payload = 3000}));
  VirtioNetHeader header = large_header(packet, 0);
  compare(packet, header, {});
  header = large_header(packet, 1000);
  header.gso_type = gso_tcpv6;
  compare(packet, header, {12, 40});
  header = checksum_header(packet);
  header.csum_start = 4000;
  compare(packet, header, {});
  header.flags = 0;
  header.gso_type = gso_tcpv4;
  compare(packet, header, {12});
}

/// Two packets in one burst need the memory for completed checksums: the second waits, and nothing is lost.
TEST(TransferOffloadBursts, SeveralThatHaveToBeGathered) {
  test::start_eal();
  Sender sender(sender_features);
  Receiver receiver;
  receiver.post(8, 2000);
  const TestPacket packet = test::make_packet({.payload = 1300});
  VirtioNetHeader header = checksum_header(packet);
  header.csum_start = 100;
  for (int i = 0; i < 3; ++i) sender.send(packet.bytes, header);
  sender.send(packet.bytes, {}, std::vector<std::size_t>(60, 20));
  sender.send(packet.bytes, {}, std::vector<std::size_t>(60, 20));
  sender.send(packet.bytes);
  std::uint16_t all = 0;
  for (std::uint16_t found; (found = sender.peek()) != 0; all = static_cast<std::uint16_t>(all + found)) {
    EXPECT_EQ(found, all == 4 ? 2 : 1);
    ASSERT_EQ(sender.move_to(receiver.context()), found);
    sender.give_back(found);
  }
  EXPECT_EQ(all, 6);
  const auto got = receiver.receive();
  ASSERT_EQ(got.size(), 6U);
  for (int i = 3; i < 6; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)].bytes, packet.bytes);
  EXPECT_EQ(got[0].bytes, got[2].bytes);
}

/// Nothing is read twice: a sum is always that of the bytes that are delivered, whatever the guest writes meanwhile.
class TransferRaces : public ::testing::Test {
 protected:
  TransferRaces() { test::start_eal(); }

  /// Moves one packet again and again while another thread writes into its payload; `good` says whether what came is
  /// consistent.
  template <typename Good>
  void race(const TestPacket& packet, const VirtioNetHeader& header, Good good) {
    Sender sender(sender_features);
    Receiver receiver(feature_version_1);
    const std::uint64_t at = sender.guest.allocate(packet.bytes.size() + 12, 64);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&header), 12, sender.guest.at(at));
    std::copy(packet.bytes.begin(), packet.bytes.end(), sender.guest.at(at + 12));
    const std::uint64_t room = receiver.guest.allocate(9000, 64);
    std::atomic<bool> stop{false};
    std::thread guest([&] {
      auto* byte = reinterpret_cast<std::atomic<std::uint8_t>*>(sender.guest.at(at + 12 + packet.bytes.size() - 7));
      for (std::uint8_t i = 0; !stop.load(std::memory_order_relaxed); ++i) byte->store(i, std::memory_order_relaxed);
    });
    for (int i = 0; i < 3000; ++i) {
      sender.driver.chain().raw(at, static_cast<std::uint32_t>(12 + packet.bytes.size())).publish();
      receiver.driver.chain().raw(room, 9000, virtqueue::Descriptor::write_flag).publish();
      EXPECT_EQ(sender.peek(), 1);
      EXPECT_EQ(sender.move_to(receiver.context()), 1);
      sender.give_back(1);
      sender.driver.reap();
      const auto used = receiver.driver.reap();
      EXPECT_EQ(used.size(), 1U);
      const Bytes whole = receiver.driver.bytes_of(used.at(0));
      if (!good(Bytes(whole.begin() + 12, whole.end()))) ADD_FAILURE() << "round " << i;
      if (HasFailure()) break;
    }
    stop = true;
    guest.join();
  }
};

TEST_F(TransferRaces, ChecksumsForTheReceiver) {
  const TestPacket packet = test::with_pseudo_sum(test::make_packet({.payload = 8000}));
  race(packet, checksum_header(packet),
       [&](const Bytes& got) { return test::l4_checksum_good(got, packet.l3, packet.l4, test::tcp); });
}

TEST_F(TransferRaces, ChecksumsForTheSender) {
  const TestPacket packet = test::make_packet({.payload = 8000});
  VirtioNetHeader header = checksum_header(packet);
  header.csum_start = 200;  // nobody's
  header.csum_offset = 0;
  race(packet, header, [](const Bytes& got) {
    // The field held something, and now completes the sum of all from there on.
    Bytes summed(got.begin() + 200, got.end());
    const std::uint16_t before = test::word_at(test::make_packet({.payload = 8000}).bytes, 200);
    const std::uint16_t now = test::word_at(got, 200);
    test::put_word(summed, 0, before);
    return static_cast<std::uint16_t>(~test::slow_sum(summed)) == now;
  });
}

}  // namespace
}  // namespace vhostx::net
