// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-bench says of a wire that loses, doubles, swaps and damages packets: a wire of which we know what it did.
#include <chrono>
#include <deque>
#include <functional>

#include <gtest/gtest.h>

#include "tools/bench/traffic.hpp"

namespace vhostx::tools::bench {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::uint8_t>;

/// Gives back what was sent, after `spoil` has had its way with it: it is given each frame and its number, and the
/// frames on their way.
class Wire final : public Endpoint {
 public:
  using Spoil = std::function<void(Bytes frame, std::uint64_t number, std::deque<Bytes>& way)>;

  explicit Wire(Spoil spoil) : spoil_(std::move(spoil)), memory_(64, Bytes(2048)) {
    for (auto& buffer : memory_) slots_.push_back({nullptr, buffer.data()});
  }

  const std::string& name() const noexcept override { return name_; }
  unsigned queue_count() const noexcept override { return 1; }
  std::span<const SendSlot> send_buffers(unsigned) const noexcept override { return slots_; }
  unsigned reserve(unsigned, std::span<SendSlot> slots) noexcept override {
    const std::size_t count = way_.size() > 256 ? 0 : std::min(slots.size(), slots_.size());
    std::copy_n(slots_.begin(), count, slots.begin());
    return static_cast<unsigned>(count);
  }
  unsigned send(unsigned, unsigned count, std::uint32_t bytes) noexcept override {
    for (unsigned i = 0; i < count; ++i) {
      const std::uint8_t* const frame = slots_[i].frame;
      spoil_(Bytes(frame, frame + bytes), sent_++, way_);
    }
    return count;
  }
  std::uint64_t taken(unsigned) noexcept override { return sent_; }
  unsigned receive(unsigned, std::span<ReceivedFrame> frames) noexcept override {
    held_.clear();
    while (held_.size() < frames.size() && !way_.empty()) {
      held_.push_back(std::move(way_.front()));
      way_.pop_front();
    }
    for (std::size_t i = 0; i < held_.size(); ++i)
      frames[i] = {held_[i].data(), static_cast<std::uint32_t>(held_[i].size())};
    return static_cast<unsigned>(held_.size());
  }
  void release(unsigned) noexcept override {}
  std::uint32_t capacity(std::uint32_t) const noexcept override { return 256; }
  std::vector<int> wait_fds() const override { return {}; }
  bool arm(bool) noexcept override { return !way_.empty(); }
  Result<void> health() override { return {}; }
  Result<void> can_send(std::uint32_t, bool) const override { return {}; }
  Result<void> can_receive(std::uint32_t, bool) const override { return {}; }
  std::string describe() const override { return name_; }

  std::uint64_t sent() const { return sent_; }

 private:
  std::string name_ = "wire";
  Spoil spoil_;
  std::vector<Bytes> memory_;
  std::vector<SendSlot> slots_;
  std::deque<Bytes> way_;
  std::vector<Bytes> held_;
  std::uint64_t sent_ = 0;
};

void pass(Bytes frame, std::uint64_t, std::deque<Bytes>& way) { way.push_back(std::move(frame)); }

/// Runs over the wire until some thousands were sent.
Counts counts_of(Wire& wire, TrafficOptions options = {}) {
  options.frame_bytes = 512;
  options.quiet = 5ms;
  Traffic traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options);
  while (wire.sent() < 5000) traffic.run(1ms);
  traffic.drain();
  return traffic.counts();
}

TEST(Traffic, FindsNoFaultInAGoodWire) {
  Wire wire(pass);
  const Counts counts = counts_of(wire);
  EXPECT_EQ(counts.sent, wire.sent());
  EXPECT_EQ(counts.received, wire.sent());
  EXPECT_EQ(counts.taken, wire.sent());
  EXPECT_EQ(counts.lost + counts.duplicated + counts.reordered + counts.damaged + counts.foreign + counts.late, 0U);
}

TEST(Traffic, CountsLostPackets) {
  Wire wire([](Bytes frame, std::uint64_t number, std::deque<Bytes>& way) {
    if (number % 100 != 7) way.push_back(std::move(frame));
  });
  const Counts counts = counts_of(wire);
  EXPECT_EQ(counts.lost, (wire.sent() + 92) / 100);
  EXPECT_EQ(counts.received + counts.lost, counts.sent);
  EXPECT_EQ(counts.duplicated + counts.reordered + counts.damaged, 0U);
}

TEST(Traffic, CountsDuplicatedPackets) {
  Wire wire([](Bytes frame, std::uint64_t number, std::deque<Bytes>& way) {
    if (number % 100 == 7) way.push_back(frame);
    way.push_back(std::move(frame));
  });
  const Counts counts = counts_of(wire);
  EXPECT_EQ(counts.duplicated, (wire.sent() + 92) / 100);
  EXPECT_EQ(counts.lost + counts.reordered + counts.damaged, 0U);
}

TEST(Traffic, CountsPacketsThatWereOvertaken) {
  Bytes kept;
  Wire wire([&](Bytes frame, std::uint64_t number, std::deque<Bytes>& way) {
    if (number % 100 == 7) {
      kept = std::move(frame);
    } else {
      way.push_back(std::move(frame));
      if (number % 100 == 8) way.push_back(std::move(kept));
    }
  });
  const Counts counts = counts_of(wire);
  EXPECT_EQ(counts.reordered, (wire.sent() + 91) / 100);
  EXPECT_EQ(counts.duplicated + counts.damaged, 0U);
}

TEST(Traffic, CountsDamagedPacketsAndThoseOfOthers) {
  Wire wire([](Bytes frame, std::uint64_t number, std::deque<Bytes>& way) {
    if (number % 100 == 7) frame[300] ^= 1;
    if (number % 100 == 8) frame.pop_back();
    if (number % 100 == 9) way.push_back(Bytes(60));
    way.push_back(std::move(frame));
  });
  const Counts counts = counts_of(wire);
  EXPECT_EQ(counts.damaged, (wire.sent() + 92) / 100 + (wire.sent() + 91) / 100);
  EXPECT_EQ(counts.lost, counts.damaged);
  EXPECT_EQ(counts.foreign, (wire.sent() + 90) / 100);
}

TEST(Traffic, NeverHasMoreUnderWayThanAllowed) {
  std::size_t most = 0;
  Wire wire([&](Bytes frame, std::uint64_t, std::deque<Bytes>& way) {
    way.push_back(std::move(frame));
    most = std::max(most, way.size());
  });
  TrafficOptions options;
  options.in_flight = 3;
  EXPECT_EQ(counts_of(wire, options).lost, 0U);
  EXPECT_EQ(most, 3U);
}

TEST(Traffic, GoesOnAfterAllThatWasUnderWayIsLost) {
  Wire wire([](Bytes frame, std::uint64_t number, std::deque<Bytes>& way) {
    if (number >= 10) way.push_back(std::move(frame));
  });
  TrafficOptions options;
  options.in_flight = 10;
  EXPECT_EQ(counts_of(wire, options).lost, 10U);
}

TEST(Traffic, KeepsItsPace) {
  Wire wire(pass);
  TrafficOptions options;
  options.rate_pps = 1000;
  options.burst = 1;
  Traffic traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options);
  const Round round = traffic.run(100ms);
  EXPECT_LE(static_cast<double>(wire.sent()), 1000 * round.seconds + 2);
  EXPECT_EQ(round.sent, wire.sent());
}

TEST(Traffic, IsIdleWhileItHasNothingToDo) {
  Wire wire(pass);
  TrafficOptions options;
  options.rate_pps = 1000;
  options.burst = 1;
  const Round slow = Traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options).run(50ms);
  EXPECT_GT(slow.idle_seconds, slow.seconds / 2);
  EXPECT_LE(slow.idle_seconds, slow.seconds);
  const Round fast = Traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, {}).run(50ms);
  EXPECT_EQ(fast.idle_seconds, 0);  // this wire always has room
}

TEST(Traffic, RecordsHowLongPacketsTake) {
  Wire wire(pass);
  TrafficOptions options;
  options.latency = true;
  options.in_flight = 1;
  Traffic traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options);
  traffic.run(5ms);
  traffic.drain();
  EXPECT_EQ(traffic.latency().count(), traffic.counts().received);
  EXPECT_GT(traffic.latency().max(), 0U);
}

TEST(Traffic, RecordsTheLongestGapOfARun) {
  Wire wire(pass);
  TrafficOptions options;
  options.latency = true;
  options.rate_pps = 1000;
  const Round round = Traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options).run(50ms);
  EXPECT_LE(round.longest_gap_seconds, round.seconds);
  EXPECT_GE(round.longest_gap_seconds, round.seconds / static_cast<double>(round.packets + 1));
}

TEST(Traffic, WhereNothingComesTheGapIsTheWholeRun) {
  Wire wire([](Bytes, std::uint64_t, std::deque<Bytes>&) {});
  TrafficOptions options;
  options.latency = true;
  const Round round = Traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, options).run(5ms);
  EXPECT_EQ(round.longest_gap_seconds, round.seconds);
}

TEST(Traffic, WithoutLatencyNoGapIsLookedFor) {
  Wire wire(pass);
  EXPECT_EQ(Traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, {}).run(1ms).longest_gap_seconds, 0);
}

TEST(Traffic, SaysWhatDoesNotGetThrough) {
  Wire wire([](Bytes, std::uint64_t, std::deque<Bytes>&) {});
  Traffic traffic({{&wire, 0, &wire, {}, {}}}, {&wire}, {});
  const auto greeted = traffic.greet(50ms);
  ASSERT_FALSE(greeted);
  EXPECT_NE(greeted.error().message.find("from queue pair 0 came to wire"), std::string::npos)
      << greeted.error().message;
}

TEST(Traffic, SaysWhereNothingCameIn) {
  Wire wire(pass);
  const auto greeted = Traffic({}, {&wire}, {}).greet(10ms);
  ASSERT_FALSE(greeted);
  EXPECT_EQ(greeted.error().message, "wire: nothing came in for 10 ms");
}

}  // namespace
}  // namespace vhostx::tools::bench
