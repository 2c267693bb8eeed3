// SPDX-License-Identifier: BSD-3-Clause
// The bytes of a device's state.
#include "backend/connection/state_record.hpp"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace vhostx::backend {
namespace {

using Bytes = StateRecord::Bytes;

void put(Bytes& to, std::uint32_t number) {
  for (int i = 0; i < 4; ++i) to.push_back(static_cast<std::byte>(number >> (8 * i)));
}

/// CRC-32, bit by bit.
std::uint32_t sum_of(const Bytes& bytes) {
  std::uint32_t sum = 0xffffffff;
  for (const std::byte byte : bytes) {
    sum ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = (sum & 1) != 0 ? sum >> 1 ^ 0xedb88320 : sum >> 1;
  }
  return ~sum;
}

/// A record with a good checksum of these sections.
Bytes record_of(const Bytes& sections, std::uint32_t version = 1) {
  Bytes bytes;
  for (const char c : std::string("VHXSTATE")) bytes.push_back(static_cast<std::byte>(c));
  put(bytes, version);
  put(bytes, static_cast<std::uint32_t>(sections.size()));
  bytes.insert(bytes.end(), sections.begin(), sections.end());
  put(bytes, sum_of(bytes));
  return bytes;
}

Bytes section(std::uint32_t kind, const Bytes& content) {
  Bytes bytes;
  put(bytes, kind);
  put(bytes, static_cast<std::uint32_t>(content.size()));
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}

Bytes numbers(std::initializer_list<std::uint32_t> all) {
  Bytes bytes;
  for (const std::uint32_t number : all) put(bytes, number);
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string reason(const Bytes& bytes) {
  const auto parsed = StateRecord::parse(bytes);
  return parsed ? "" : parsed.error().message;
}

TEST(StateRecordTest, ReadsWhatItWrote) {
  StateRecord record;
  record.statistics.emplace(4);
  (*record.statistics)[3].values[2] = ~std::uint64_t{0};
  record.application = Bytes{std::byte{1}, std::byte{2}};
  const auto again = StateRecord::parse(record.serialize());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->application, record.application);
  ASSERT_EQ(again->statistics->size(), 4U);
  EXPECT_EQ((*again->statistics)[3].values, (*record.statistics)[3].values);
  const auto empty = StateRecord::parse(StateRecord().serialize());
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->statistics || empty->application);
}

TEST(StateRecordTest, IsTheDocumentedOne) {
  StateRecord record;
  record.application = Bytes{std::byte{9}};
  EXPECT_EQ(record.serialize(), record_of(section(2, {std::byte{9}})));
}

TEST(StateRecordTest, SkipsSectionsThatItDoesNotKnow) {
  const auto parsed =
      StateRecord::parse(record_of(section(77, Bytes(5)) + section(2, {std::byte{9}}) + section(3, {})));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->application, Bytes{std::byte{9}});
}

TEST(StateRecordTest, TakesMoreAndFewerCounters) {
  constexpr auto count = static_cast<std::uint32_t>(vring_counter_count);
  Bytes more = numbers({1, count + 1});
  for (std::uint32_t i = 0; i <= count; ++i) more = more + numbers({i + 10, 0});
  const auto parsed = StateRecord::parse(record_of(section(1, more)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->statistics->at(0).values.back(), count + 9);
  const auto fewer = StateRecord::parse(record_of(section(1, numbers({1, 1, 5, 0}))));
  ASSERT_TRUE(fewer);
  EXPECT_EQ(fewer->statistics->at(0).values[0], 5U);
  EXPECT_EQ(fewer->statistics->at(0).values[1], 0U);
}

TEST(StateRecordTest, SaysWhatIsWrong) {
  EXPECT_EQ(reason({}), "it has 0 bytes, expected 20 or more");
  EXPECT_EQ(reason(Bytes(100)), "it does not begin with VHXSTATE: no record of this library");
  EXPECT_EQ(reason(record_of({}, 2)), "it is of version 2, expected 1");
  EXPECT_EQ(reason(record_of({}) + Bytes(3)), "its sections have 3 bytes, expected 0");
  Bytes flipped = record_of(section(2, Bytes(8)));
  flipped[30] ^= std::byte{1};
  EXPECT_EQ(reason(flipped), "its checksum is wrong");
  EXPECT_EQ(reason(record_of(Bytes(7))), "7 bytes are left after its last section");
  EXPECT_EQ(reason(record_of(numbers({2, 1}))), "section 2 has 1 bytes, expected at most 0");
  EXPECT_EQ(reason(record_of(section(2, {}) + section(2, {}))), "it has an application's state twice");
  EXPECT_EQ(reason(record_of(section(1, numbers({0, 0})) + section(1, numbers({0, 0})))), "it has statistics twice");
  EXPECT_EQ(reason(record_of(section(1, numbers({1})))), "its statistics have 4 bytes, expected 8 or more");
  EXPECT_EQ(reason(record_of(section(1, numbers({257, 0})))),
            "its statistics of 257 vrings with 0 counters have 0 bytes");
  EXPECT_EQ(reason(record_of(section(1, numbers({2, 1, 5, 0})))),
            "its statistics of 2 vrings with 1 counters have 8 bytes");
}

}  // namespace
}  // namespace vhostx::backend
