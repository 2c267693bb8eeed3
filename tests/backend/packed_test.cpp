// SPDX-License-Identifier: BSD-3-Clause
// What only packed rings have, through a Port: sizes, both forms of a base, where a ring starts that nobody knows, a
// ring that its driver resets, a guest of each kind at the ends of a transfer. The rest is tested by the same text as
// split rings (*_packed in CTest).
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include <vhostx/transfer.hpp>

#include "backend/connection/features.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/backend/traffic.hpp"
#include "virtqueue/packed_ring.hpp"

namespace vhostx::test {
namespace {

using protocol::FeatureSet;
using protocol::FrontEndRequest;
using protocol::ProtocolFeature;
using protocol::VirtioFeature;
using virtqueue::PackedPosition;
using virtqueue::RingKind;

FeatureSet with_packed(FeatureSet features = usual_features) {
  features.set(VirtioFeature::ring_packed);
  return features;
}

/// A front-end whose guest has packed rings of `size` entries.
struct PackedMachine {
  explicit PackedMachine(PortFixture& port, std::uint16_t size = 64, virtqueue::RingFeatures ring = {.indirect = true})
      : fixture(port), front_end(must(FakeFrontEnd::connect(port.options.socket_path))) {
    for (int i = 0; i < 2; ++i) drivers.emplace_back(guest, size, ring, RingKind::packed);
  }

  void negotiate(FeatureSet features = with_packed()) {
    must(front_end.negotiate(features, usual_protocol_features));
    const auto region = guest.description(0);
    const UniqueFd file = guest.file(0);
    const std::array regions{
        protocol::MemoryRegion{region.guest.value, region.size, region.front_end.value, region.mmap_offset}};
    const std::array fds{file.get()};
    must(front_end.set_mem_table(regions, fds));
  }
  void configure(std::uint16_t index, std::uint32_t base) {
    const auto at = drivers[index].addresses();
    must(front_end.set_vring(FrontEndRequest::set_vring_num, index, drivers[index].size()));
    must(front_end.set_vring(FrontEndRequest::set_vring_base, index, base));
    must(front_end.set_vring_address(
        {.index = index, .descriptor = at.descriptors.value, .used = at.used.value, .available = at.avail.value}));
  }
  void start(std::uint16_t index, std::uint32_t base) {
    configure(index, base);
    must(front_end.set_vring_fd(FrontEndRequest::set_vring_kick, index, kick.get()));
    must(front_end.set_vring_fd(FrontEndRequest::set_vring_call, index, call.get()));
    must(front_end.set_vring(FrontEndRequest::set_vring_enable, index, 1));
    kick.signal();
  }
  void bring_up(std::uint32_t base = 0x8000'8000) {
    negotiate();
    for (std::uint16_t i = 0; i < 2; ++i) {
      start(i, base);
      fixture.events.until<VringStarted>();
    }
    must(front_end.get_u64(FrontEndRequest::get_features));  // enabled by now
  }
  void transmit(int count = 1) {
    for (int i = 0; i < count; ++i) drivers[1].chain().readable(small_packet()).publish();
  }

  PortFixture& fixture;
  FakeGuest guest;
  FakeFrontEnd front_end;
  std::vector<FakeDriver> drivers;
  EventFd kick = must(EventFd::create());
  EventFd call = must(EventFd::create());
};

class Packed : public ::testing::Test {
 protected:
  Vring& from_guest() { return fixture.port->from_guest(); }
  Vring& to_guest() { return fixture.port->to_guest(); }

  PortFixture fixture{[](PortOptions& options) {
    options.features_extra = FeatureSet{VirtioFeature::in_order, VirtioFeature::ring_reset}.bits();
  }};
};

TEST_F(Packed, IsOfferedWithWhatItNeeds) {
  using backend::offered_features;
  EXPECT_TRUE(offered_features({}).has(VirtioFeature::ring_packed));
  EXPECT_FALSE(offered_features({.features_masked = FeatureSet{VirtioFeature::version_1}.bits()})
                   .has(VirtioFeature::ring_packed));
}

TEST_F(Packed, RingsOfAnySizeServeThroughManyLaps) {
  for (const std::uint16_t size : std::array<std::uint16_t, 4>{1, 3, 100, 1023}) {
    PackedMachine machine(fixture, size);
    machine.bring_up();
    for (int round = 0; round < 30; ++round) {
      const int count = std::min<int>(size, 20);
      machine.transmit(count);
      EXPECT_EQ(take_burst(from_guest()), count);
      EXPECT_EQ(machine.drivers[1].reap().size(), static_cast<std::size_t>(count));
      machine.drivers[0].chain().writable(200).publish();
      EXPECT_EQ(deliver(*fixture.port), 1);
      const auto used = machine.drivers[0].reap();
      ASSERT_EQ(used.size(), 1U);
      EXPECT_EQ(used[0].length, 72U);
    }
  }
}

TEST_F(Packed, SizesAreChecked) {
  PackedMachine machine(fixture);
  machine.negotiate();
  const auto status = [&](std::uint32_t size) {
    return must(machine.front_end.acknowledged(
        protocol::make_request(FrontEndRequest::set_vring_num, protocol::VringState{0, size}, true)));
  };
  for (const std::uint32_t size : {1U, 3U, 32767U, 32768U}) EXPECT_EQ(status(size), 0U) << size;
  for (const std::uint32_t size : {0U, 32769U, 65536U}) EXPECT_NE(status(size), 0U) << size;
}

// QEMU and DPDK have a base each; both go on from the one that GET_VRING_BASE answered.
TEST_F(Packed, GoesOnFromTheBaseThatItAnswered) {
  for (const std::uint32_t half : {0xffff'ffffU, 0xffffU}) {  // DPDK leaves the upper half 0
    PackedMachine machine(fixture, 5);
    machine.bring_up();
    std::uint32_t base = 0;
    for (int round = 0; round < 12; ++round) {
      machine.transmit(3);
      EXPECT_EQ(take_burst(from_guest()), 3);
      base = must(machine.front_end.get_vring_base(1));
      EXPECT_EQ(base, machine.drivers[1].base());
      machine.drivers[1].reap();
      machine.start(1, base & half);
      fixture.events.until<VringStarted>();
      must(machine.front_end.get_u64(FrontEndRequest::get_features));
    }
    EXPECT_NE(base, 0x8000'8000U);
  }
}

TEST_F(Packed, ABaseOutsideTheRingStopsThatRingAlone) {
  PackedMachine machine(fixture, 5);
  machine.negotiate();
  machine.start(1, 0x8005'8005);
  EXPECT_EQ(fixture.events.until<VringBroken>().index, 1);
  machine.start(0, 0x8000'8000);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 0);
}

// A new back-end of a front-end that lost the old one, and sends the base of a fresh ring.
TEST_F(Packed, FindsItsPlaceInARingThatAnotherHasUsed) {
  PackedMachine machine(fixture, 8);
  machine.bring_up();
  machine.transmit(8);
  std::array<rte_mbuf*, 5> packets;
  ASSERT_EQ(from_guest().dequeue_burst(test_pool(), packets.data(), 5), 5);
  rte_pktmbuf_free_bulk(packets.data(), 5);
  machine.drivers[1].reap();
  machine.transmit(3);  // over the end of the ring
  static_cast<void>(must(machine.front_end.get_vring_base(1)));
  machine.start(1, 0x8000'8000);
  fixture.events.until<VringStarted>();
  must(machine.front_end.get_u64(FrontEndRequest::get_features));
  EXPECT_EQ(take_burst(from_guest()), 6);
  EXPECT_EQ(machine.drivers[1].reap().size(), 6U);
}

TEST_F(Packed, StartsWhereTheRingSaysWhateverTheBase) {
  PackedMachine machine(fixture, 8);
  machine.bring_up();
  machine.transmit();
  EXPECT_EQ(take_burst(from_guest()), 1);
  machine.drivers[1].reap();
  machine.transmit();  // with the id of the one before
  static_cast<void>(must(machine.front_end.get_vring_base(1)));
  machine.start(1, 0x8000'8000);
  EXPECT_EQ(fixture.events.until<VringStarted>().index, 1);
  must(machine.front_end.get_u64(FrontEndRequest::get_features));
  EXPECT_EQ(take_burst(from_guest()), 1);
}

// RING_RESET: the front-end stops the ring, the driver begins anew, with other memory or the same.
TEST_F(Packed, ARingThatIsResetBeginsAfresh) {
  PackedMachine machine(fixture, 6);
  machine.negotiate([] {
    auto features = with_packed();
    features.set(VirtioFeature::ring_reset);
    return features;
  }());
  for (std::uint16_t i = 0; i < 2; ++i) {
    machine.start(i, 0x8000'8000);
    fixture.events.until<VringStarted>();
  }
  for (int round = 0; round < 5; ++round) {
    must(machine.front_end.get_u64(FrontEndRequest::get_features));
    machine.transmit(4);
    EXPECT_EQ(take_burst(from_guest()), 4);
    static_cast<void>(must(machine.front_end.get_vring_base(1)));
    machine.drivers[1].start_anew();
    machine.start(1, 0x8000'8000);
    fixture.events.until<VringStarted>();
  }
}

TEST_F(Packed, InOrderOneUsedDescriptorTellsOfABurst) {
  PackedMachine machine(fixture, 32, {.in_order = true});
  machine.negotiate([] {
    auto features = with_packed();
    features.set(VirtioFeature::in_order);
    return features;
  }());
  for (std::uint16_t i = 0; i < 2; ++i) {
    machine.start(i, 0x8000'8000);
    fixture.events.until<VringStarted>();
  }
  must(machine.front_end.get_u64(FrontEndRequest::get_features));
  for (int round = 0; round < 20; ++round) {
    machine.transmit(9);
    EXPECT_EQ(take_burst(from_guest()), 9);
    EXPECT_EQ(machine.drivers[1].reap().size(), 9U);
    for (int i = 0; i < 3; ++i) machine.drivers[0].chain().writable(300).publish();
    EXPECT_EQ(deliver(*fixture.port), 1);
    EXPECT_EQ(machine.drivers[0].reap().size(), 1U);
    EXPECT_EQ(deliver(*fixture.port), 1);
    EXPECT_EQ(deliver(*fixture.port), 1);
    EXPECT_EQ(machine.drivers[0].reap().size(), 2U);
  }
}

// From a guest with packed rings to one with split ones, and back.
TEST_F(Packed, TransfersBetweenRingsOfBothKinds) {
  PortFixture other;
  FakeMachine split(other.options.socket_path);
  split.bring_up();
  for (int i = 0; i < 2; ++i) other.events.until<VringStarted>();
  split.sync();
  PackedMachine packed(fixture);
  packed.bring_up();
  auto transfer = must(Transfer::create());
  std::array<std::uint8_t, 32> which;
  for (std::uint8_t i = 0; i < which.size(); ++i) which[i] = i;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 7; ++i) {
      split.ring(0).driver.chain().writable(200).publish();
      packed.drivers[0].chain().writable(200).publish();
    }
    packed.transmit(7);
    transmit(split, 7);
    ASSERT_EQ(transfer->begin(from_guest(), 32), 7);
    EXPECT_EQ(transfer->move(which.data(), 7, other.port->to_guest()), 7);
    transfer->end(7);
    ASSERT_EQ(transfer->begin(other.port->from_guest(), 32), 7);
    EXPECT_EQ(transfer->move(which.data(), 7, to_guest()), 7);
    transfer->end(7);
    for (FakeDriver* driver : {&split.ring(0).driver, &packed.drivers[0]}) {
      const auto used = driver->reap();
      ASSERT_EQ(used.size(), 7U);
      for (const auto& one : used) {
        auto bytes = driver->bytes_of(one);
        bytes[10] = 0;  // num_buffers
        EXPECT_EQ(bytes, small_packet());
      }
    }
    EXPECT_EQ(split.ring(1).driver.reap().size(), 7U);
    EXPECT_EQ(packed.drivers[1].reap().size(), 7U);
  }
}

TEST_F(Packed, CallsAndKicksFollowTheEventStructures) {
  PackedMachine machine(fixture, 16, {.event_idx = true});
  machine.negotiate([] {
    auto features = with_packed();
    features.set(VirtioFeature::event_idx);
    return features;
  }());
  for (std::uint16_t i = 0; i < 2; ++i) {
    machine.start(i, 0x8000'8000);
    fixture.events.until<VringStarted>();
  }
  must(machine.front_end.get_u64(FrontEndRequest::get_features));
  machine.call.drain();
  machine.transmit();
  EXPECT_EQ(take_burst(from_guest()), 1);  // the first is always called for
  machine.call.drain();
  for (int round = 0; round < 20; ++round) {
    machine.drivers[1].reap();
    machine.drivers[1].want_call_at(1);
    machine.transmit();
    EXPECT_EQ(take_burst(from_guest()), 1);
    EXPECT_FALSE(signalled(machine.call, std::chrono::milliseconds(0)));
    machine.transmit();
    EXPECT_EQ(take_burst(from_guest()), 1);
    EXPECT_TRUE(signalled(machine.call, std::chrono::milliseconds(0)));
  }
  EXPECT_FALSE(from_guest().set_notifications(true));
  EXPECT_TRUE(machine.drivers[1].device_wants_next_kick());
  machine.transmit();
  EXPECT_EQ(take_burst(from_guest()), 1);
  EXPECT_TRUE(machine.drivers[1].device_wants_next_kick());
  EXPECT_FALSE(from_guest().set_notifications(false));
  EXPECT_FALSE(machine.drivers[1].device_wants_kicks());
}

}  // namespace
}  // namespace vhostx::test
