// SPDX-License-Identifier: BSD-3-Clause
// VHOST_USER_PROTOCOL_F_GPA_ADDRESSES: the front-end names everything by guest addresses. A region's address of its own
// is to repeat the guest address ("Memory region description"); this back-end does not look at it.
#include <string>

#include <gtest/gtest.h>

#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

const ProtocolFeatureSet guest_addresses = usual_protocol_features | ProtocolFeatureSet{ProtocolFeature::gpa_addresses};

constexpr std::uint64_t first_base = 0x4000'0000;
constexpr std::uint64_t second_base = 0x1'0000'0000;
constexpr std::size_t region_bytes = std::size_t{4} << 20;

// A machine of two regions whose rings lie in the first.
struct GuestAddresses : ::testing::Test {
  MemoryRegion region(std::size_t index, std::uint64_t own_address = 0) const {
    MemoryRegion description = machine.region(index);
    description.front_end_address = own_address;
    return description;
  }
  Message table(std::uint64_t own_address = 0) {
    const std::array regions{region(0, own_address), region(1, own_address)};
    Message message = make_memory_table(regions, true);
    for (std::size_t i = 0; i < regions.size(); ++i) message.add_fd(machine.guest().file(i));
    return message;
  }
  std::uint64_t acknowledged(Message message) { return must(machine.front_end().acknowledged(std::move(message))); }
  std::uint64_t add(std::size_t index, std::uint64_t own_address = 0) {
    Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, region(index, own_address)}, true);
    message.add_fd(machine.guest().file(index));
    return acknowledged(std::move(message));
  }
  std::uint64_t remove(std::size_t index, std::uint64_t own_address = 0) {
    return machine.status_of(Request::rem_mem_reg, SingleMemoryRegion{0, region(index, own_address)});
  }
  std::uint64_t choose(ProtocolFeatureSet features) {
    return machine.status_of(Request::set_protocol_features, U64{features.bits()});
  }
  // With guest addresses, or with the front-end's own.
  std::uint64_t configure(std::uint16_t index, bool by_guest_addresses = true) {
    VringAddress addresses = machine.addresses(index);
    const std::uint64_t offset = by_guest_addresses ? machine.region(0).front_end_address - first_base : 0;
    for (std::uint64_t* const address : {&addresses.descriptor, &addresses.used, &addresses.available})
      *address -= offset;
    must(machine.front_end().set_vring(Request::set_vring_num, index, machine.ring(index).driver.size()));
    must(machine.front_end().set_vring(Request::set_vring_base, index, 0));
    must(machine.front_end().set_vring_address(addresses));
    machine.enable(index);
    Message message = make_request(Request::set_vring_kick, U64{index}, true);
    message.add_fd(duplicate(machine.ring(index).kick.get()));
    return acknowledged(std::move(message));
  }
  void start(std::uint16_t index) {
    ASSERT_EQ(configure(index), 0u);
    machine.kick(index);
    while (fixture.events.until<VringStarted>().index != index) {
    }
  }
  void expect_traffic() {
    transmit(machine, 3);
    EXPECT_EQ(take_burst(fixture.port->vring(1)), 3u);
    EXPECT_EQ(machine.ring(1).driver.reap().size(), 3u);
  }

  PortFixture fixture;
  FakeMachine machine{fixture.options.socket_path, 2, {{first_base, region_bytes}, {second_base, region_bytes}}};
};

TEST_F(GuestAddresses, RingsAreFoundByThemAndTheRegionsOwnAddressesDoNotCount) {
  for (const std::uint64_t own_address : {std::uint64_t{0}, std::uint64_t{0x7777'0000}, ~std::uint64_t{0}}) {
    machine.negotiate(usual_features, guest_addresses);
    ASSERT_EQ(acknowledged(table(own_address)), 0u) << own_address;
    EXPECT_EQ(fixture.port->info().memory_regions, 2u);
    start(1);
    expect_traffic();
    must(machine.front_end().get_vring_base(1));
    machine.ring(1).driver.start_at(0);
  }
}

TEST_F(GuestAddresses, TheFrontEndsOwnAddressesAreNoneThen) {
  machine.negotiate(usual_features, guest_addresses);
  machine.send_memory();  // with addresses of its own, too
  EXPECT_NE(configure(1, false), 0u);
  start(1);
  expect_traffic();
}

TEST_F(GuestAddresses, AreNotRingAddressesWhereTheBitWasNotTaken) {
  machine.negotiate();
  machine.send_memory();
  EXPECT_NE(configure(1), 0u);
  EXPECT_EQ(configure(1, false), 0u);
}

TEST_F(GuestAddresses, WithoutTheBitEqualAddressesOfTheFrontEndOverlap) {
  machine.negotiate();
  EXPECT_NE(acknowledged(table()), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 0u);
}

TEST_F(GuestAddresses, SlotsAreAddedAndRemovedByThem) {
  machine.negotiate(usual_features, guest_addresses);
  ASSERT_EQ(add(0), 0u);
  ASSERT_EQ(add(1), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 2u);
  start(1);
  expect_traffic();
  EXPECT_EQ(remove(1, 0x1234'5000), 0u) << "the same guest address and size: its own address does not count";
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
  EXPECT_NE(remove(1), 0u);
  expect_traffic();
  EXPECT_EQ(add(0, 0x1234'5000), 0u) << "there already";
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
}

TEST_F(GuestAddresses, RegionsThatOverlapAreRefused) {
  machine.negotiate(usual_features, guest_addresses);
  ASSERT_EQ(add(0), 0u);
  MemoryRegion over = region(0);
  over.guest_address += 4096;
  over.size -= 4096;
  Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, over}, true);
  message.add_fd(machine.guest().file(0));
  EXPECT_NE(acknowledged(std::move(message)), 0u);
  EXPECT_EQ(fixture.port->info().memory_regions, 1u);
}

// What the regions' and rings' addresses mean cannot change under them.
TEST_F(GuestAddresses, AreChosenAndGivenUpOnlyWhileThereIsNoMemory) {
  machine.negotiate();
  machine.send_memory();
  EXPECT_EQ(choose(guest_addresses), 1u);
  EXPECT_EQ(fixture.port->info().protocol_features, usual_protocol_features.bits());
  EXPECT_EQ(choose(usual_protocol_features), 0u);
  EXPECT_EQ(configure(1, false), 0u) << "the memory that was there is there, as it was";

  must(machine.front_end().get_vring_base(1));
  ASSERT_EQ(remove(0, machine.region(0).front_end_address), 0u);
  ASSERT_EQ(remove(1, machine.region(1).front_end_address), 0u);
  EXPECT_EQ(choose(guest_addresses), 0u);
  EXPECT_EQ(choose(usual_protocol_features), 0u);
  EXPECT_EQ(choose(guest_addresses), 0u);
  ASSERT_EQ(acknowledged(table()), 0u);
  EXPECT_EQ(choose(guest_addresses), 0u) << "as QEMU sends it, for each queue pair";
  EXPECT_EQ(choose(usual_protocol_features), 1u);
  start(1);
  expect_traffic();
}

TEST(GuestAddressesUnasked, AreNeitherOfferedNorTaken) {
  PortFixture fixture([](PortOptions& options) { options.protocol_features_extra = 0; });
  FakeMachine machine{fixture.options.socket_path};
  EXPECT_FALSE(ProtocolFeatureSet(must(machine.front_end().get_u64(Request::get_protocol_features)))
                   .has(ProtocolFeature::gpa_addresses));
  must(machine.front_end().send(make_request(Request::set_protocol_features, U64{guest_addresses.bits()})));
  EXPECT_NE(fixture.events.until<FrontEndDisconnected>().reason.message.find("GPA_ADDRESSES"), std::string::npos);
}

}  // namespace
}  // namespace vhostx::test
