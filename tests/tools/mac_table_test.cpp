// SPDX-License-Identifier: BSD-3-Clause
// The MAC table: learning, ageing, and what a flooding guest can not do.
#include "tools/switch/mac_table.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace vhostx::tools {
namespace {

using Learned = MacTable::Learned;

constexpr std::uint64_t secret = 0x9e37'79b9'7f4a'7c15u;
constexpr std::uint64_t station_a = 0x0a0000000002;  // byte 0 of the wire is the lowest
constexpr std::uint64_t station_b = 0x0b0000000002;

TEST(MacTable, ReadsAddressesFromFrames) {
  const unsigned char frame[14] = {0x02, 0, 0, 0, 0, 0x0a, 0x02, 0, 0, 0, 0, 0x0b, 0x08, 0};
  EXPECT_EQ(destination_of(frame), station_a);
  EXPECT_EQ(source_of(frame), station_b);
  EXPECT_FALSE(is_group(station_a));
  EXPECT_TRUE(is_group(0xffffffffffff));
  EXPECT_TRUE(is_group(0x010000005e01 & 0xff));  // 01:00:5e:...
}

TEST(MacTable, LearnsAndFinds) {
  MacTable table(4, secret);
  EXPECT_EQ(table.lookup(station_a), MacTable::no_port);
  EXPECT_EQ(table.learn(station_a, 3), Learned::added);
  EXPECT_EQ(table.learn(station_a, 3), Learned::known);
  EXPECT_EQ(table.lookup(station_a), 3);
  EXPECT_EQ(table.lookup(station_b), MacTable::no_port);
  EXPECT_EQ(table.entries_of(3), 1u);
}

TEST(MacTable, AStationMoves) {
  MacTable table(4, secret);
  table.learn(station_a, 0);
  EXPECT_EQ(table.learn(station_a, 1), Learned::moved);
  EXPECT_EQ(table.lookup(station_a), 1);
  EXPECT_EQ(table.entries_of(0), 0u);
  EXPECT_EQ(table.entries_of(1), 1u);
}

TEST(MacTable, RestoresAStationWithItsAge) {
  MacTable table(4, secret);
  EXPECT_EQ(table.restore(station_a, 3, 200), Learned::added);
  EXPECT_EQ(table.lookup(station_a), 3);
  EXPECT_EQ(table.entries_of(3), 1u);
  EXPECT_EQ(table.stations().at(0).age_s, 200u);
  for (unsigned tick = 200 / MacTable::tick_seconds; tick < MacTable::age_ticks_max; ++tick) table.tick();
  EXPECT_EQ(table.lookup(station_a), 3);
  table.tick();
  EXPECT_EQ(table.lookup(station_a), MacTable::no_port);
  for (const unsigned too_old : {304u, 500u, 512u, 0xffffu})
    EXPECT_EQ(table.restore(station_a, 3, too_old), Learned::refused) << too_old;
}

TEST(MacTable, FindsAndForgetsAllOfAPortsStationsAndNobodyElses) {
  constexpr std::uint64_t apart = 0x0123'4567'8902;  // even: no group address; spread over the whole table
  MacTable table(4, secret);
  std::vector<std::uint64_t> wanted;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const std::uint64_t mac = i * apart & 0xffff'ffff'fffe;
    table.learn(mac, 0);
    if (i % 2 == 0) table.learn(mac, 1);
    if (i % 2 == 0) wanted.push_back(mac);
  }
  std::vector<std::uint64_t> found;
  for (const auto& station : table.stations_of(1)) found.push_back(station.mac);
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, wanted);
  EXPECT_EQ(table.stations_of(0).size(), 100u);
  EXPECT_TRUE(table.stations_of(2).empty());
  EXPECT_EQ(table.forget_port(1), 100u);
  EXPECT_TRUE(table.stations_of(1).empty());
  EXPECT_EQ(table.stations().size(), 100u);
}

TEST(MacTable, RestoresNothingThatIsNoStations) {
  MacTable table(4, secret);
  for (const std::uint64_t mac : {std::uint64_t{0}, std::uint64_t{0xffffffffffff}, station_a | 1})
    EXPECT_EQ(table.restore(mac, 0, 0), Learned::refused) << mac;
  EXPECT_TRUE(table.stations().empty());
}

TEST(MacTable, RestoringMovesAStationUnlessItWasHeardOfSince) {
  MacTable table(4, secret);
  table.learn(station_a, 0);
  table.learn(station_b, 0);
  for (int tick = 0; tick < 10; ++tick) table.tick();
  EXPECT_EQ(table.restore(station_a, 1, 40), Learned::moved);
  EXPECT_EQ(table.restore(station_b, 1, 44), Learned::moved) << "ages are rounded: one tick more is the same age";
  EXPECT_EQ(table.entries_of(0), 0u);
  EXPECT_EQ(table.entries_of(1), 2u);
  table.learn(station_a, 2);
  EXPECT_EQ(table.restore(station_a, 1, 8), Learned::known);
  EXPECT_EQ(table.lookup(station_a), 2);
  EXPECT_EQ(table.entries_of(2), 1u);
}

TEST(MacTable, RestoringTakesNoMoreThanThePortsShareAndEvictsNothing) {
  MacTable table(MacTable::ports_max, secret);
  std::uint64_t mac = 2;
  while (table.entries_of(1) < table.entries_per_port_max()) table.restore(mac += 0x100, 1, 100);
  const auto full = table.entries_of(1);
  table.learn(station_a, 0);
  EXPECT_EQ(table.restore(station_a, 1, 0), Learned::refused);
  EXPECT_EQ(table.restore(station_b, 1, 0), Learned::refused);
  EXPECT_EQ(table.lookup(station_a), 0);
  EXPECT_EQ(table.lookup(mac), 1);
  EXPECT_EQ(table.entries_of(1), full);
}

TEST(MacTable, GroupAddressesAndZeroAreNoStations) {
  MacTable table(2, secret);
  EXPECT_EQ(table.learn(0, 0), Learned::refused);
  EXPECT_EQ(table.learn(0xffffffffffff, 0), Learned::refused);
  EXPECT_EQ(table.learn(station_a | 1, 0), Learned::refused);
  EXPECT_EQ(table.entries_of(0), 0u);
}

TEST(MacTable, EntriesAgeWhenUnused) {
  MacTable table(2, secret);
  table.learn(station_a, 0);
  table.learn(station_b, 1);
  // Many times around the epoch's 7 bits: one station speaks every minute, the other is silent.
  for (unsigned tick = 1; tick <= 1000; ++tick) {
    table.tick();
    if (tick % 15 == 0) table.learn(station_a, 0);
    EXPECT_EQ(table.lookup(station_a), 0) << tick;
    EXPECT_EQ(table.lookup(station_b), tick <= MacTable::age_ticks_max ? 1 : MacTable::no_port) << tick;
  }
  EXPECT_EQ(table.entries_of(0), 1u);
  EXPECT_EQ(table.entries_of(1), 0u);
}

TEST(MacTable, ListsWhatItKnows) {
  MacTable table(2, secret);
  EXPECT_TRUE(table.stations().empty());
  table.learn(station_a, 0);
  for (int tick = 0; tick < 3; ++tick) table.tick();
  table.learn(station_b, 1);
  auto stations = table.stations();
  ASSERT_EQ(stations.size(), 2u);
  if (stations[0].mac == station_b) std::swap(stations[0], stations[1]);
  EXPECT_EQ(stations[0].mac, station_a);
  EXPECT_EQ(stations[0].port, 0);
  EXPECT_EQ(stations[0].age_s, 3 * MacTable::tick_seconds);
  EXPECT_EQ(stations[1].mac, station_b);
  EXPECT_EQ(stations[1].port, 1);
  EXPECT_EQ(stations[1].age_s, 0u);
}

TEST(MacTable, ThePortsShareFollowsTheirNumber) {
  MacTable table(2, secret);
  const auto of_two = table.entries_per_port_max();
  table.set_ports(256);
  EXPECT_LT(table.entries_per_port_max(), of_two);
  EXPECT_EQ(table.entries_per_port_max(), MacTable(256, secret).entries_per_port_max());
  table.set_ports(0);
  EXPECT_EQ(table.entries_per_port_max(), of_two);
}

TEST(MacTable, ForgetsAPortAlone) {
  MacTable table(2, secret);
  table.learn(station_a, 0);
  table.learn(station_b, 1);
  EXPECT_EQ(table.forget_port(0), 1u);
  EXPECT_EQ(table.forget_port(0), 0u);
  EXPECT_EQ(table.lookup(station_a), MacTable::no_port);
  EXPECT_EQ(table.lookup(station_b), 1);
  EXPECT_EQ(table.entries_of(0), 0u);
}

/// Guests that make up source addresses: at most their share, and nobody else's entry is lost.
TEST(MacTable, ForgetsAnAddressAlone) {
  MacTable table(4, secret);
  table.learn(station_a, 1);
  table.learn(station_b, 1);
  table.forget(station_a);
  EXPECT_EQ(table.lookup(station_a), MacTable::no_port);
  EXPECT_EQ(table.lookup(station_b), 1);
  EXPECT_EQ(table.entries_of(1), 1U);
}

TEST(MacTable, AFloodTakesItsShareAndEvictsNobody) {
  constexpr unsigned ports = 8;
  MacTable table(ports, secret);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> honest;
  for (int i = 0; i < 100; ++i) {
    honest.push_back((random() & 0xffff'ffff'fffeu) | 2);
    ASSERT_EQ(table.learn(honest.back(), 0), Learned::added);
  }
  for (int i = 0; i < 1'000'000; ++i)
    table.learn((random() & 0xffff'ffff'fffeu) | 2, static_cast<std::uint16_t>(1 + random() % (ports - 1)));
  for (const auto station : honest) EXPECT_EQ(table.lookup(station), 0);
  for (std::uint16_t port = 1; port < ports; ++port) {
    EXPECT_LE(table.entries_of(port), table.entries_per_port_max());
    EXPECT_GT(table.entries_of(port), table.entries_per_port_max() * 9 / 10);
  }
  // And there is room for the honest port's next stations.
  int added = 0;
  for (int i = 0; i < 1000; ++i) added += table.learn((random() & 0xffff'ffff'fffeu) | 2, 0) == Learned::added ? 1 : 0;
  EXPECT_GT(added, 980);
}

TEST(MacTable, APortAtItsShareCannotTakeOverStationsEither) {
  MacTable table(MacTable::ports_max, secret);
  std::uint64_t mac = 2;
  while (table.entries_of(1) < table.entries_per_port_max()) table.learn(mac += 0x100, 1);
  table.learn(station_a, 0);
  EXPECT_EQ(table.learn(station_a, 1), Learned::refused);
  EXPECT_EQ(table.lookup(station_a), 0);
}

}  // namespace
}  // namespace vhostx::tools
