// SPDX-License-Identifier: BSD-3-Clause
// What moves with a guest from port to port, and what a forged state cannot do.
#include "tools/switch/guest_state.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace vhostx::tools {
namespace {

class GuestState : public testing::Test {
 protected:
  using Bytes = std::vector<std::byte>;

  static constexpr std::uint64_t secret = 0x9e37'79b9'7f4a'7c15u;
  static constexpr std::uint64_t station_a = 0x0a0000000002;  // byte 0 of the wire is the lowest
  static constexpr std::uint64_t station_b = 0x0b0000000002;
  static constexpr std::uint16_t source = 1;
  static constexpr std::uint16_t destination = 2;
  static constexpr std::size_t header_bytes = 16;
  static std::uint64_t numbered(std::uint64_t number) { return 2 | number << 8; }

  MacTable macs{4, secret};
  AddressRules rules;

  LoadedStations load(const Bytes& state, std::uint16_t port = destination) {
    const auto loaded = load_guest_state(macs, rules, port, state);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *loaded : LoadedStations{};
  }
  std::string refusal(const Bytes& state) {
    const auto loaded = load_guest_state(macs, rules, destination, state);
    EXPECT_FALSE(loaded);
    EXPECT_EQ(macs.entries_of(destination), 0u) << "it has loaded half of it";
    return loaded ? "" : loaded.error().message;
  }
  /// A state with these addresses, the first one the youngest.
  static Bytes state_of(const std::vector<std::uint64_t>& addresses) {
    MacTable table(1, secret);
    for (const auto mac : addresses) table.learn(mac, 0);
    return save_guest_state(table, 0);
  }
  static Bytes changed(Bytes state, std::size_t at, unsigned value) {
    state.at(at) = static_cast<std::byte>(value);
    return state;
  }
};

TEST_F(GuestState, AddressesMoveToAnotherPortOfTheSwitch) {
  macs.learn(station_a, source);
  macs.learn(station_b, source);
  macs.learn(numbered(7), 0);
  const auto loaded = load(save_guest_state(macs, source));
  EXPECT_EQ(loaded.learned, 2u);
  EXPECT_EQ(loaded.foreign + loaded.others, 0u);
  EXPECT_EQ(macs.lookup(station_a), destination);
  EXPECT_EQ(macs.lookup(station_b), destination);
  EXPECT_EQ(macs.lookup(numbered(7)), 0);
  EXPECT_EQ(macs.entries_of(source), 0u);
  EXPECT_EQ(macs.forget_port(source), 0u) << "the end of the source's QEMU forgets nothing that has moved";
}

TEST_F(GuestState, AddressesMoveToAnotherSwitchWithTheirAge) {
  macs.learn(station_a, source);
  for (int tick = 0; tick < 5; ++tick) macs.tick();
  macs.learn(station_b, source);
  MacTable other(8, ~secret);
  const auto loaded = load_guest_state(other, rules, 7, save_guest_state(macs, source));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->learned, 2u);
  for (const auto& station : other.stations()) {
    EXPECT_EQ(station.port, 7);
    EXPECT_EQ(station.age_s, station.mac == station_a ? 5 * MacTable::tick_seconds : 0);
  }
}

TEST_F(GuestState, SavingGivesNothingUp) {
  macs.learn(station_a, source);
  save_guest_state(macs, source);
  EXPECT_EQ(macs.lookup(station_a), source);
}

TEST_F(GuestState, AGuestThatHasSentNothingHasAStateToo) {
  const auto state = save_guest_state(macs, source);
  EXPECT_EQ(state.size(), header_bytes);
  EXPECT_EQ(load(state).learned, 0u);
}

TEST_F(GuestState, HasRoomForAllThatAPortMayHold) {
  MacTable full(1, secret);
  for (std::uint64_t number = 1; full.entries_of(0) < full.entries_per_port_max(); ++number)
    full.learn(numbered(number), 0);
  const auto state = save_guest_state(full, 0);
  EXPECT_EQ(state.size(), guest_state_bytes_max);
  MacTable other(1, ~secret);
  const auto loaded = load_guest_state(other, rules, 0, state);
  ASSERT_TRUE(loaded);
  EXPECT_GT(loaded->learned, guest_state_stations_max * 99 / 100) << "all but what finds its bucket full";
}

TEST_F(GuestState, AnAddressThatWasHeardOfElsewhereSinceStaysThere) {
  macs.learn(station_a, source);
  for (int tick = 0; tick < 5; ++tick) macs.tick();
  const auto state = save_guest_state(macs, source);
  macs.learn(station_a, 0);
  const auto loaded = load(state);
  EXPECT_EQ(loaded.learned, 0u);
  EXPECT_EQ(loaded.others, 1u);
  EXPECT_EQ(macs.lookup(station_a), 0);
}

TEST_F(GuestState, TheRulesOfThePortHold) {
  rules.bind(destination, station_a);
  const auto loaded = load(state_of({station_a, station_b}));
  EXPECT_EQ(loaded.learned, 1u);
  EXPECT_EQ(loaded.foreign, 1u);
  EXPECT_EQ(macs.lookup(station_a), destination);
  EXPECT_EQ(macs.lookup(station_b), MacTable::no_port);
}

TEST_F(GuestState, AnAddressOfAnotherPortStaysThere) {
  rules.bind(0, station_a);
  macs.learn(station_a, 0);
  const auto loaded = load(state_of({station_a, station_b}));
  EXPECT_EQ(loaded.learned, 1u);
  EXPECT_EQ(loaded.foreign, 1u);
  EXPECT_EQ(macs.lookup(station_a), 0);
}

TEST_F(GuestState, AForgedStateGetsThePortsShareAndEvictsNobody) {
  MacTable small(MacTable::ports_max, secret);
  std::vector<std::uint64_t> honest;
  for (std::uint64_t number = 1; number <= 20; ++number) honest.push_back(numbered(number) | 0x0f00'0000'0000);
  for (const auto mac : honest) small.learn(mac, 0);
  std::vector<std::uint64_t> forged;
  for (std::uint64_t number = 1; number <= 4000; ++number) forged.push_back(numbered(number));
  for (int i = 0; i < 10; ++i) {
    const auto loaded = load_guest_state(small, rules, destination, state_of(forged));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->learned, small.entries_per_port_max());
  }
  EXPECT_EQ(small.entries_of(destination), small.entries_per_port_max());
  for (const auto mac : honest) EXPECT_EQ(small.lookup(mac), 0);
}

TEST_F(GuestState, WithoutRoomForAllTheYoungestAreLearned) {
  for (std::uint64_t number = 1; number <= 1000; ++number) macs.learn(numbered(number), source);
  macs.tick();
  std::set<std::uint64_t> young;
  for (std::uint64_t number = 1001; number <= 1020; ++number) young.insert(numbered(number));
  for (const auto mac : young) macs.learn(mac, source);
  MacTable small(MacTable::ports_max, secret);
  ASSERT_LT(small.entries_per_port_max(), 1000u);
  ASSERT_TRUE(load_guest_state(small, rules, destination, save_guest_state(macs, source)));
  EXPECT_EQ(small.entries_of(destination), small.entries_per_port_max());
  for (const auto mac : young) EXPECT_EQ(small.lookup(mac), destination);
}

TEST_F(GuestState, AForgedAgeIsNoLongerLife) {
  auto state = state_of({station_a, station_b});
  for (const std::size_t byte : {14u, 15u}) state = changed(state, byte + 8, 0xff);  // the first one's age
  const auto loaded = load(state);
  EXPECT_EQ(loaded.learned, 1u);
  EXPECT_EQ(loaded.others, 1u);
}

TEST_F(GuestState, WhatIsNoneIsRefusedAsAWhole) {
  const auto good = state_of({station_a, station_b});
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_NE(refusal(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))), "") << size;
  auto longer = good;
  longer.push_back(std::byte{0});
  EXPECT_EQ(refusal(longer), "the state has 17 bytes for 2 addresses, expected 16");
  EXPECT_EQ(refusal(changed(good, 0, 'v')), "32 bytes that do not begin with VHXSWTCH: no state of a vhostx-switch");
  EXPECT_EQ(refusal(changed(good, 8, 2)), "the state is of version 2, expected 1");
  EXPECT_EQ(refusal(changed(good, 13, 0x20)), "the state has 8194 addresses, expected at most 4096");
  EXPECT_EQ(refusal(changed(good, 15, 0xff)), "the state has 4278190082 addresses, expected at most 4096");
}

TEST_F(GuestState, GroupAddressesAreRefused) {
  const auto good = state_of({station_a, station_b});
  const auto multicast = changed(good, header_bytes + 8, 0x01);  // byte 0 of the second one
  EXPECT_NE(refusal(multicast).find("address 1 of the state"), std::string::npos) << refusal(multicast);
  auto zero = good;
  std::fill(zero.begin() + header_bytes, zero.begin() + header_bytes + 6, std::byte{0});
  EXPECT_NE(refusal(zero).find("address 0 of the state"), std::string::npos) << refusal(zero);
}

}  // namespace
}  // namespace vhostx::tools
