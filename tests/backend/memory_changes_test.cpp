// SPDX-License-Identifier: BSD-3-Clause
// Guest memory that changes while rings run: SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG.
#include <string>

#include <gtest/gtest.h>

#include "tests/backend/traffic.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr std::size_t slice_bytes = 16384;

// The guest's one memory file in slices of their own regions.
MemoryRegion slice(const FakeMachine& machine, std::size_t index) {
  MemoryRegion region = machine.region(0);
  region.guest_address += index * slice_bytes;
  region.front_end_address += index * slice_bytes;
  region.mmap_offset += index * slice_bytes;
  region.size = slice_bytes;
  return region;
}

std::uint64_t add(FakeMachine& machine, const MemoryRegion& region) {
  Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, region}, true);
  message.add_fd(machine.guest().file(0));
  return must(machine.front_end().acknowledged(std::move(message)));
}

std::uint64_t remove(FakeMachine& machine, const MemoryRegion& region) {
  return machine.status_of(Request::rem_mem_reg, SingleMemoryRegion{0, region});
}

TEST(MemoryChanges, FiveHundredTwelveSlotsAreTakenAndNoMore) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path, 2, {{0x4000'0000, 513 * slice_bytes}});
  machine.negotiate();
  for (std::size_t i = 0; i < 512; ++i) ASSERT_EQ(add(machine, slice(machine, i)), 0u) << i;
  EXPECT_NE(add(machine, slice(machine, 512)), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 512u);

  machine.configure_ring(0);  // lies in the first slice
  machine.send_fds(0);
  machine.kick(0);
  fixture.events.until<VringStarted>();
  for (std::size_t i = 511; i > 0; --i) ASSERT_EQ(remove(machine, slice(machine, i)), 0u) << i;
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
  EXPECT_TRUE(fixture.port->vring(0).state().started);
}

TEST(MemoryChanges, ARegionIsRemovedByAddressesAndSizeWhateverItsOffsetAndDescriptor) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  ASSERT_EQ(add(machine, slice(machine, 3)), 0u);
  MemoryRegion region = slice(machine, 3);
  region.size += 4096;
  EXPECT_NE(remove(machine, region), 0u);
  region = slice(machine, 3);
  region.front_end_address += 4096;
  EXPECT_NE(remove(machine, region), 0u);
  region = slice(machine, 3);
  region.mmap_offset = 77;
  Message message = make_request(Request::rem_mem_reg, SingleMemoryRegion{0, region}, true);
  message.add_fd(machine.guest().file(0));
  EXPECT_EQ(must(machine.front_end().acknowledged(std::move(message))), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 0u);
}

// QEMU before 8.0 adds and removes all of the guest's memory once for each queue pair.
TEST(MemoryChanges, ARegionAddedAgainIsThereOnceAndGoesWhenRemovedAsOften) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  for (int queue_pair = 0; queue_pair < 3; ++queue_pair) ASSERT_EQ(add(machine, slice(machine, 3)), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
  for (int queue_pair = 0; queue_pair < 3; ++queue_pair) {
    EXPECT_EQ(fixture.port->info().memory_regions, 1u);
    ASSERT_EQ(remove(machine, slice(machine, 3)), 0u);
  }
  EXPECT_EQ(fixture.port->info().memory_regions, 0u);
  EXPECT_NE(remove(machine, slice(machine, 3)), 0u);
  // Not the same region: it overlaps the one that is there.
  ASSERT_EQ(add(machine, slice(machine, 3)), 0u);
  MemoryRegion other = slice(machine, 3);
  other.mmap_offset += 4096;
  EXPECT_NE(add(machine, other), 0u);
}

TEST(MemoryChanges, ARegionIsNotAddedWithoutEnd) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  for (int i = 0; i < 128; ++i) ASSERT_EQ(add(machine, slice(machine, 3)), 0u);
  EXPECT_NE(add(machine, slice(machine, 3)), 0u);
}

TEST(MemoryChanges, ATableThatFailsHalfwayLeavesTheOldOne) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  fixture.events.until<VringStarted>();
  const std::array regions{machine.region(0), machine.region(0)};  // overlap
  Message message = make_memory_table(regions, true);
  message.add_fd(machine.guest().file(0));
  message.add_fd(machine.guest().file(0));
  EXPECT_NE(must(machine.front_end().acknowledged(std::move(message))), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
  EXPECT_TRUE(fixture.port->vring(0).state().started);
}

TEST(MemoryChanges, MoreThanTheOptionsAllowIsRefused) {
  PortFixture fixture([](PortOptions& options) { options.memory_bytes_max = 2 * slice_bytes; });
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  EXPECT_EQ(add(machine, slice(machine, 0)), 0u);
  EXPECT_EQ(add(machine, slice(machine, 1)), 0u);
  EXPECT_NE(add(machine, slice(machine, 2)), 0u);
}

TEST(MemoryChanges, MemoryMustBeAFile) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, machine.region(0)}, true);
  message.add_fd(duplicate(machine.ring(0).kick.get()));
  EXPECT_NE(must(machine.front_end().acknowledged(std::move(message))), 0u);
}

TEST(MemoryChanges, ARunningRingGoesOnInANewTable) {
  PortFixture fixture;
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  machine.send_memory();
  machine.sync();
  EXPECT_TRUE(fixture.port->vring(0).state().started);
  EXPECT_EQ(fixture.events.rest(), "memory_changed");
}

// Of three rings in a row the last one's descriptors lie over the end of the first page; there the second slot begins.
struct TwoSlots {
  static constexpr std::uint64_t border = 4096;
  static constexpr std::uint16_t over_border = 2;

  TwoSlots() {
    start_eal();
    machine.negotiate();
    second.guest_address += border;
    second.front_end_address += border;
    second.mmap_offset += border;
    second.size -= border;
    first.size = border;
    EXPECT_EQ(add(machine, first), 0u);
    EXPECT_EQ(add(machine, second), 0u);
  }
  void start(const VringAddress& addresses) {
    must(machine.front_end().set_vring(Request::set_vring_num, over_border, 64));
    must(machine.front_end().set_vring_address(addresses));
    machine.send_fds(over_border);
    machine.enable(over_border);
    machine.kick(over_border);
    ASSERT_EQ(fixture.events.until<VringStarted>().index, over_border);
  }
  std::uint16_t send_to_guest() {
    rte_mbuf* packet = rte_pktmbuf_alloc(test_pool());
    rte_pktmbuf_append(packet, 60);
    const std::uint16_t sent = fixture.port->to_guest(1).enqueue_burst(&packet, 1);
    rte_pktmbuf_free(packet);
    return sent;
  }

  PortFixture fixture{[](PortOptions& options) { options.queue_pairs_max = 2; }};
  FakeMachine machine{fixture.options.socket_path, 4};
  MemoryRegion first = machine.region(0);
  MemoryRegion second = machine.region(0);
};

TEST(MemoryChanges, ARingLiesOverTwoNeighbouringSlots) {
  if (!has_second_mappings()) GTEST_SKIP() << no_second_mapping;
  TwoSlots slots;
  FakeDriver& driver = slots.machine.ring(TwoSlots::over_border).driver;
  const std::uint64_t begin = slots.machine.addresses(TwoSlots::over_border).descriptor - slots.first.front_end_address;
  ASSERT_LT(begin, TwoSlots::border);
  ASSERT_GT(begin + 64 * 16, TwoSlots::border);
  slots.start(slots.machine.addresses(TwoSlots::over_border));
  for (int round = 0; round < 100; ++round) {  // also round the ring's end
    driver.chain().writable(100).publish();
    ASSERT_EQ(slots.send_to_guest(), 1) << round;
    ASSERT_EQ(driver.reap().size(), 1u) << round;
  }
  ASSERT_EQ(remove(slots.machine, slots.second), 0u);
  EXPECT_EQ(slots.fixture.events.until<VringBroken>().index, TwoSlots::over_border);
}

TEST(MemoryChanges, WhatARingOverTwoSlotsLosesIsTold) {
  VHOSTX_SPLIT_RINGS_ONLY;
  if (!has_second_mappings()) GTEST_SKIP() << no_second_mapping;
  TwoSlots slots;
  VringAddress addresses = slots.machine.addresses(0);  // but for its descriptors all is in the first slot
  addresses.index = TwoSlots::over_border;
  addresses.descriptor = slots.machine.addresses(TwoSlots::over_border).descriptor;
  slots.start(addresses);
  ASSERT_EQ(::ftruncate(slots.machine.guest().file(0).get(), TwoSlots::border), 0);
  slots.machine.ring(0).driver.publish_head(63);
  slots.send_to_guest();
  const Error reason = slots.fixture.events.until<FrontEndDisconnected>().reason;
  EXPECT_NE(reason.message.find("over two memory regions is lost"), std::string::npos) << reason.message;
}

TEST(MemoryChanges, ARingWhoseMemoryIsGoneStopsAlone) {
  PortFixture fixture;
  // The first region has room for one ring only: the second ring lies in the second region.
  FakeMachine machine(fixture.options.socket_path, 2, {{0x4000'0000, 1680}, {0x5000'0000, std::size_t{4} << 20}});
  machine.bring_up();
  fixture.events.until<VringStarted>();
  fixture.events.until<VringStarted>();
  machine.ring(0).err.drain();
  ASSERT_EQ(remove(machine, machine.region(0)), 0u);
  const auto broken = fixture.events.until<VringBroken>();
  EXPECT_EQ(broken.index, 0);
  EXPECT_EQ(broken.fault.cause, VringFaultCause::outside_memory);
  EXPECT_EQ(fixture.events.until<VringStopped>().index, 0);
  EXPECT_TRUE(signalled(machine.ring(0).err));
  EXPECT_FALSE(fixture.port->vring(0).state().started);
  EXPECT_TRUE(fixture.port->vring(1).state().started);
}

}  // namespace
}  // namespace vhostx::test
