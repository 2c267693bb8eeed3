// SPDX-License-Identifier: BSD-3-Clause
// PortOptions::count_sizes: packets by size and destination, whichever way they go.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

enum class To { station, group, everybody };

constexpr std::size_t net_header = 12;

/// A net header and a frame.
std::vector<std::uint8_t> packet_of(std::size_t bytes, To to = To::station) {
  std::vector<std::uint8_t> packet(net_header + bytes);
  const std::uint8_t first = to == To::station ? 0x02 : to == To::group ? 0x01 : 0xff;
  std::memset(packet.data() + net_header, to == To::everybody ? 0xff : 0x00, 6);
  packet[net_header] = first;
  return packet;
}

/// Sizes at the borders of all classes; three go to groups.
struct Sent {
  std::size_t bytes;
  To to;
};
constexpr Sent sent[] = {{14, To::station},   {63, To::group},     {64, To::station},    {65, To::everybody},
                         {127, To::station},  {128, To::station},  {255, To::station},   {256, To::station},
                         {511, To::station},  {512, To::station},  {1023, To::group},    {1024, To::station},
                         {1518, To::station}, {1519, To::station}, {9000, To::everybody}};
constexpr std::array<std::uint64_t, size_counter_count> counted{2, 1, 2, 2, 2, 2, 2, 2, 2, 2};

/// A port with a guest on it.
struct Counted {
  explicit Counted(bool zero_copy = false, bool count_sizes = true)
      : fixture([=](PortOptions& options) {
          options.count_sizes = count_sizes;
          options.zero_copy = zero_copy;
        }),
        machine(fixture.options.socket_path) {
    start_eal();
    machine.bring_up();
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
  }

  void transmit_all() {
    for (const auto& [bytes, to] : sent) machine.ring(1).driver.chain().readable(packet_of(bytes, to)).publish();
  }
  void post(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) machine.ring(0).driver.chain().writable(net_header + 9000).publish();
  }
  std::vector<rte_mbuf*> take() {
    std::vector<rte_mbuf*> packets(32);
    packets.resize(from().dequeue_burst(test_pool(), packets.data(), 32));
    return packets;
  }
  Vring& from() { return fixture.port->from_guest(); }
  Vring& to() { return fixture.port->to_guest(); }

  PortFixture fixture;
  FakeMachine machine;
};

void free_them(const std::vector<rte_mbuf*>& packets) {
  for (rte_mbuf* packet : packets) rte_pktmbuf_free(packet);
}

void expect_counted(const Vring& vring) { EXPECT_EQ(vring.packet_sizes().values, counted); }

TEST(PacketSizes, BothWays) {
  for (const bool zero_copy : {false, true}) {
    Counted guest(zero_copy);
    guest.transmit_all();
    guest.post(std::size(sent));
    const auto packets = guest.take();
    ASSERT_EQ(packets.size(), std::size(sent));
    expect_counted(guest.from());
    EXPECT_EQ(guest.to().enqueue_burst(packets.data(), static_cast<std::uint16_t>(packets.size())), packets.size());
    expect_counted(guest.to());
    EXPECT_EQ(guest.to().stats()[VringCounter::packets], packets.size());
    free_them(packets);
  }
}

TEST(PacketSizes, WhatIsLeftIsNotCounted) {
  Counted guest;
  guest.transmit_all();
  guest.post(1);
  const auto packets = guest.take();
  EXPECT_EQ(guest.to().enqueue_burst(packets.data(), 2), 1);
  const PacketSizes sizes = guest.to().packet_sizes();
  EXPECT_EQ(sizes[SizeCounter::below_64], 1u);
  EXPECT_EQ(sizes[SizeCounter::multicast], 0u) << "of the second one";
  free_them(packets);
}

TEST(PacketSizes, OfATransferAreThoseThatTheGuestSent) {
  Counted sender, receiver;
  sender.transmit_all();
  receiver.post(std::size(sent));
  const auto transfer = must(Transfer::create());
  constexpr auto count = static_cast<std::uint16_t>(std::size(sent));
  ASSERT_EQ(transfer->begin(sender.from(), 32), count);
  std::array<std::uint8_t, 32> which;
  for (std::uint8_t i = 0; i < count; ++i) which[i] = i;
  EXPECT_EQ(transfer->move(which.data(), count, receiver.to()), count);
  std::memset(transfer->packet(0).head, 0xff, 6);  // too late for either
  transfer->end(count);
  expect_counted(sender.from());
  expect_counted(receiver.to());
  EXPECT_EQ(transfer->begin(sender.from(), 32), 0) << "none is there twice";
  EXPECT_EQ(sender.from().stats()[VringCounter::packets], count);
}

TEST(PacketSizes, OfCommittedBuffers) {
  Counted guest(true);
  guest.post(2);
  rte_mbuf* buffers[2];
  ASSERT_EQ(guest.to().borrow_burst(test_pool(), buffers, 2), 2);
  for (std::uint16_t i = 0; i < 2; ++i) {
    const auto bytes = static_cast<std::uint16_t>(64 + i);
    std::memset(rte_pktmbuf_mtod(buffers[i], void*), i == 0 ? 0xff : 0, bytes);
    buffers[i]->data_len = bytes;
    buffers[i]->pkt_len = bytes;
  }
  EXPECT_EQ(guest.to().commit_burst(buffers, 2), 2);
  EXPECT_EQ(guest.to().stats()[VringCounter::lent], 2u);
  const PacketSizes sizes = guest.to().packet_sizes();
  EXPECT_EQ(sizes[SizeCounter::size_64], 1u);
  EXPECT_EQ(sizes[SizeCounter::size_65_127], 1u);
  EXPECT_EQ(sizes[SizeCounter::broadcast], 1u);
}

TEST(PacketSizes, ARingThatIsDisabledDropsAndCountsNone) {
  Counted guest;
  for (std::uint16_t ring = 0; ring < 2; ++ring) guest.machine.enable(ring, false);
  guest.machine.sync();
  guest.transmit_all();
  guest.post(1);
  EXPECT_TRUE(guest.take().empty());
  EXPECT_EQ(guest.from().stats()[VringCounter::drop_disabled], std::size(sent));
  rte_mbuf* const packet = rte_pktmbuf_alloc(test_pool());
  rte_pktmbuf_append(packet, 64);
  EXPECT_EQ(guest.to().enqueue_burst(&packet, 1), 0);
  rte_pktmbuf_free(packet);
  const auto transfer = must(Transfer::create());
  EXPECT_EQ(transfer->begin(guest.from(), 32), 0);
  EXPECT_EQ(guest.from().packet_sizes().values, PacketSizes{}.values);
  EXPECT_EQ(guest.to().packet_sizes().values, PacketSizes{}.values);
}

TEST(PacketSizes, AreResetAndOutliveAConnection) {
  Counted guest;
  guest.transmit_all();
  free_them(guest.take());
  guest.machine.front_end().disconnect();
  guest.fixture.events.until<FrontEndDisconnected>();
  expect_counted(guest.from());
  guest.from().reset_stats();
  EXPECT_EQ(guest.from().packet_sizes().values, PacketSizes{}.values);
}

TEST(PacketSizes, WithoutTheOptionNothingIsCounted) {
  Counted guest(false, false);
  guest.transmit_all();
  free_them(guest.take());
  EXPECT_EQ(guest.from().stats()[VringCounter::packets], std::size(sent));
  EXPECT_EQ(guest.from().packet_sizes().values, PacketSizes{}.values);
}

}  // namespace
}  // namespace vhostx::test
