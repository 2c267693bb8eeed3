// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <sched.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tools/bench/limit.hpp"
#include "tools/bench/packet_ring.hpp"

namespace vhostx::tools::bench {
namespace {

TEST(PacketRing, TakesWhatFitsAndGivesItBackInOrder) {
  PacketRing ring(4, 8);
  std::uint64_t number = 1;
  for (; number <= 3; ++number) EXPECT_EQ(ring.push(reinterpret_cast<std::uint8_t*>(&number), 1), 1U);
  EXPECT_EQ(ring.push(reinterpret_cast<std::uint8_t*>(&number), 3), 1U);  // one slot is left
  EXPECT_EQ(ring.push(reinterpret_cast<std::uint8_t*>(&number), 1), 0U);
  std::vector<std::uint8_t> out(std::size_t{8} * ring.stride());
  ASSERT_EQ(ring.pop(out.data(), 8), 4U);
  for (std::uint64_t i = 0; i < 4; ++i) {
    std::uint64_t got = 0;
    std::memcpy(&got, out.data() + i * ring.stride(), sizeof got);
    EXPECT_EQ(got, i + 1);
  }
  EXPECT_EQ(ring.pop(out.data(), 8), 0U);
}

TEST(PacketRing, TwoThreadsSeeEveryPacketOnceAndWhole) {
  constexpr std::uint64_t packets = 50'000;
  constexpr std::size_t words = 25;  // ends inside a line
  PacketRing ring(64, sizeof(std::uint64_t) * words);
  std::thread producer([&ring] {
    std::array<std::uint64_t, words> packet;
    for (std::uint64_t number = 0; number < packets; ++number) {
      packet.fill(number);
      while (ring.push(reinterpret_cast<const std::uint8_t*>(packet.data()), 1) == 0) std::this_thread::yield();
    }
  });
  std::vector<std::uint8_t> out(std::size_t{16} * ring.stride());
  std::uint64_t wrong = 0;
  for (std::uint64_t next = 0; next < packets;) {
    const std::uint32_t count = ring.pop(out.data(), 16);
    if (count == 0) std::this_thread::yield();
    for (std::uint32_t i = 0; i < count; ++i, ++next) {
      std::array<std::uint64_t, words> packet;
      std::memcpy(packet.data(), out.data() + std::size_t{i} * ring.stride(), sizeof packet);
      for (const std::uint64_t word : packet) wrong += word != next;
    }
  }
  producer.join();
  EXPECT_EQ(wrong, 0U);
}

TEST(Limit, OneRateARound) {
  LimitOptions options;
  options.seconds = 0.001;  // or until the other thread has run
  options.rounds = 3;
  const auto result = measure_limit(options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->pps.size(), 3U);
  for (const double pps : result->pps) EXPECT_GT(pps, 0);
}

TEST(Limit, AnyRingAndBurstWillDo) {
  for (const std::uint16_t ring_size : std::initializer_list<std::uint16_t>{2, 3, 256, 32768}) {
    LimitOptions options;
    options.seconds = 0.001;
    options.rounds = 1;
    options.ring_size = ring_size;
    options.burst = 300;
    options.packet_bytes = 100;
    const auto result = measure_limit(options);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->pps.size(), 1U) << ring_size;
  }
}

/// Where the threads have to share one CPU, each gets about half.
TEST(Limit, SaysHowMuchOfTheCpusItGot) {
  LimitOptions options;
  options.cpu_producer = options.cpu_consumer = ::sched_getcpu();
  options.seconds = 0.1;
  options.rounds = 1;
  const auto result = measure_limit(options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GT(result->cpu_share, 0);
  EXPECT_LT(result->cpu_share, 0.9);
}

TEST(Limit, ACpuThatIsNotThereIsNamed) {
  for (const bool producer : {true, false}) {
    LimitOptions options;
    (producer ? options.cpu_producer : options.cpu_consumer) = 100'000;
    options.seconds = 0.001;
    const auto result = measure_limit(options);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("CPU 100000"), std::string::npos) << result.error().message;
  }
}

}  // namespace
}  // namespace vhostx::tools::bench
