// SPDX-License-Identifier: BSD-3-Clause
// What is read of rings: every field, both layouts, and memory that lies or goes away.
#include <array>
#include <chrono>
#include <cstdlib>
#include <limits>

#include <gtest/gtest.h>

#include "tests/support/emulated_kernel.hpp"
#include "tests/tools/probe_ring_file.hpp"
#include "tools/probe/rings/memory_nodes.hpp"
#include "tools/probe/rings/ring_history.hpp"
#include "tools/probe/rings/ring_sample.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;
using namespace std::chrono_literals;

SplitSample split_of(const RingSample& sample) { return std::get<SplitSample>(sample.layout); }
PackedSample packed_of(const RingSample& sample) { return std::get<PackedSample>(sample.layout); }

TEST(SplitRing, HasEveryField) {
  RingFile file;
  file.available(300, 1).used(290, 1).used_event(295).avail_event(310);
  const auto sample = sample_ring(file.memory(), file.place(false, true));
  ASSERT_TRUE(sample.ok()) << sample.problem;
  const auto split = split_of(sample);
  EXPECT_EQ(split.available_flags, 1);
  EXPECT_EQ(split.available_index, 300);
  EXPECT_EQ(split.used_flags, 1);
  EXPECT_EQ(split.used_index, 290);
  EXPECT_EQ(split.used_event, 295);
  EXPECT_EQ(split.avail_event, 310);
  EXPECT_EQ(sample.in_flight, 10U);
  EXPECT_TRUE(sample.exact());
  EXPECT_EQ(sample.available_position, 300U);
  EXPECT_EQ(sample.used_position, 290U);
  EXPECT_TRUE(sample.findings.empty());
}

TEST(SplitRing, HasNoEventsWithoutTheFeature) {
  RingFile file;
  file.used_event(7).avail_event(7);
  const auto split = split_of(sample_ring(file.memory(), file.place()));
  EXPECT_FALSE(split.used_event);
  EXPECT_FALSE(split.avail_event);
}

TEST(SplitRing, SuppressesByFlagsWithoutEventIndex) {
  RingFile file;
  auto sample = sample_ring(file.memory(), file.place());
  EXPECT_FALSE(sample.calls_suppressed);
  EXPECT_FALSE(sample.kicks_suppressed);
  file.available(0, 1).used(0, 1);
  sample = sample_ring(file.memory(), file.place());
  EXPECT_TRUE(sample.calls_suppressed);
  EXPECT_TRUE(sample.kicks_suppressed);
}

TEST(SplitRing, SuppressesByEventIndexWithIt) {
  RingFile file;  // the flags say the contrary, and do not count (VIRTIO 1.2, 2.7.10)
  file.available(65530, 1).used(65530, 1).used_event(4).avail_event(65530);
  auto sample = sample_ring(file.memory(), file.place(false, true));
  EXPECT_FALSE(sample.calls_suppressed) << "a call after ten more";
  EXPECT_FALSE(sample.kicks_suppressed) << "a kick after the next";
  file.available(65530).used(65530).used_event(65529).avail_event(65000);
  sample = sample_ring(file.memory(), file.place(false, true));
  EXPECT_TRUE(sample.calls_suppressed) << "passed already";
  EXPECT_TRUE(sample.kicks_suppressed);
}

TEST(SplitRing, CountsOverTheWrap) {
  RingFile file;
  file.available(3).used(65535);
  EXPECT_EQ(sample_ring(file.memory(), file.place()).in_flight, 4U);
  file.available(65535).used(65535);
  EXPECT_EQ(sample_ring(file.memory(), file.place()).in_flight, 0U);
}

TEST(SplitRing, FindsMoreInFlightThanItHas) {
  RingFile file;
  file.available(256).used(0);
  EXPECT_TRUE(sample_ring(file.memory(), file.place()).findings.empty());
  file.available(257);
  auto sample = sample_ring(file.memory(), file.place());
  ASSERT_EQ(sample.findings.size(), 1U);
  EXPECT_EQ(sample.findings[0], "257 in flight, more than the ring's 256 (VIRTIO 1.2, 2.7)");
  file.available(10).used(11);  // the device is ahead of the driver
  EXPECT_EQ(sample_ring(file.memory(), file.place()).in_flight, 65535U);
}

TEST(PackedRing, BeginsAsItsMemoryDoes) {
  RingFile file(8);
  const auto sample = sample_ring(file.memory(), file.place(true));
  ASSERT_TRUE(sample.ok()) << sample.problem;
  EXPECT_EQ(sample.available_position, 0U);
  EXPECT_EQ(sample.used_position, 0U);
  EXPECT_EQ(sample.in_flight, 0U);
  EXPECT_TRUE(packed_of(sample).driver_wrap);
  EXPECT_EQ(packed_of(sample).marked_used, 8U);
  EXPECT_EQ(sample.modulus, 16U);
}

TEST(PackedRing, HasDriverAndDeviceWhereTheBitsChange) {
  RingFile file(8);  // first lap: 0 and 1 used, 2 to 4 available
  for (const std::uint32_t slot : {0U, 1U}) file.packed(slot, true, true);
  for (const std::uint32_t slot : {2U, 3U, 4U}) file.packed(slot, true, false);
  auto sample = sample_ring(file.memory(), file.place(true));
  EXPECT_EQ(sample.available_position, 5U);
  EXPECT_EQ(sample.used_position, 2U);
  EXPECT_EQ(sample.in_flight, 3U);
  EXPECT_TRUE(sample.exact());
  EXPECT_EQ(packed_of(sample).marked_available, 3U);
  // Second lap, wrap counter 0: the driver has written 0 again, the device is at 6 of the first lap.
  for (const std::uint32_t slot : {2U, 3U, 4U, 5U}) file.packed(slot, true, true);
  for (const std::uint32_t slot : {6U, 7U}) file.packed(slot, true, false);
  file.packed(0, false, true);
  sample = sample_ring(file.memory(), file.place(true));
  EXPECT_EQ(packed_of(sample).next_available, 1U);
  EXPECT_FALSE(packed_of(sample).driver_wrap);
  EXPECT_EQ(sample.available_position, 9U);
  EXPECT_EQ(sample.used_position, 6U);
  EXPECT_EQ(sample.in_flight, 3U);
}

/// {address, length, id, flags} of a slot.
void put(RingFile& file, std::uint32_t slot, std::uint16_t id, bool used, bool next = false) {
  file.packed(slot, true, used);
  file.put(RingFile::descriptor_at + 16 * slot + 12, id);
  if (next) file.put<std::uint16_t>(RingFile::descriptor_at + 16 * slot + 14, used ? 0x8081 : 0x81);
}

TEST(PackedRing, HasSoManyChainsAtMostWhereTheyAreLong) {
  RingFile file(8);  // chains of two, of which the first was used
  put(file, 0, 7, true);
  put(file, 1, 7, false);
  put(file, 2, 5, false, true);
  put(file, 3, 5, false);
  put(file, 4, 6, false, true);
  put(file, 5, 6, false);
  const auto sample = sample_ring(file.memory(), file.place(true));
  EXPECT_EQ(sample.available_position, 6U);
  EXPECT_EQ(sample.used_position, 1U) << "at least";
  EXPECT_EQ(sample.in_flight, 3U);
  EXPECT_EQ(sample.in_flight_min, 2U) << "one of them may be the rest of the chain that was used";
  EXPECT_DOUBLE_EQ(sample.chains_per_step, 6.0 / 8) << "two descriptors were never written";
}

TEST(PackedRing, OfADeviceThatMarksAllOfAChainIsCountedByWhatIsInFlight) {
  RingFile file(8);  // chains of two, of which the first was used
  put(file, 0, 7, true, true);
  put(file, 1, 7, true, true);
  for (const std::uint32_t slot : {2U, 4U}) {
    put(file, slot, 5, false, true);
    put(file, slot + 1, 5, false);
  }
  EXPECT_DOUBLE_EQ(sample_ring(file.memory(), file.place(true)).chains_per_step, 0.5);
}

TEST(PackedRing, MayHaveTheRestOfOneThatWasUsed) {
  RingFile file(8);
  put(file, 0, 7, true);
  put(file, 1, 7, false);
  EXPECT_EQ(sample_ring(file.memory(), file.place(true)).in_flight_min, 0U) << "with the same id";
  put(file, 1, 6, false);
  EXPECT_TRUE(sample_ring(file.memory(), file.place(true)).exact()) << "with another one";
  for (const std::uint32_t slot : {0U, 1U}) put(file, slot, 7, true);
  put(file, 2, 7, false);
  EXPECT_TRUE(sample_ring(file.memory(), file.place(true)).exact()) << "the driver has one buffer alone";
}

TEST(PackedRing, MayHaveFarFewerInFlightInOrder) {
  RingFile file(8);
  auto place = file.place(true);
  place.in_order = true;
  for (const std::uint32_t slot : {0U, 1U}) file.packed(slot, true, true);
  for (const std::uint32_t slot : {2U, 3U, 4U}) file.packed(slot, true, false);
  const auto sample = sample_ring(file.memory(), place);
  EXPECT_EQ(sample.in_flight, 3U);
  EXPECT_EQ(sample.in_flight_min, 0U) << "one used descriptor may stand for more";
}

TEST(PackedRing, WantsNoNotificationsThatLieBehind) {
  RingFile file(8);
  const auto calls_off = [&](std::uint32_t word) {
    file.put(RingFile::available_at, word | 2U << 16);
    return sample_ring(file.memory(), file.place(true, true)).calls_suppressed;
  };
  for (const std::uint32_t slot : {0U, 1U, 2U}) file.packed(slot, true, true);  // the device is at 3
  EXPECT_FALSE(calls_off(0x8000 | 3));
  EXPECT_FALSE(calls_off(0x8000 | 7));
  EXPECT_FALSE(calls_off(2)) << "in the next lap";
  EXPECT_TRUE(calls_off(0x8000 | 2)) << "passed";
  EXPECT_TRUE(calls_off(3)) << "a lap away";
  EXPECT_TRUE(calls_off(0x8000 | 9)) << "no place of this ring";
}

TEST(PackedRing, MayBeFull) {
  RingFile file(8);
  for (std::uint32_t slot = 0; slot < 8; ++slot) file.packed(slot, true, false);
  const auto sample = sample_ring(file.memory(), file.place(true));
  EXPECT_EQ(sample.in_flight, 8U);
  EXPECT_EQ(packed_of(sample).next_available, 0U);
  EXPECT_FALSE(packed_of(sample).driver_wrap);
}

TEST(PackedRing, HasEventAreas) {
  RingFile file(8);
  file.put<std::uint32_t>(RingFile::available_at, 1U << 16);
  file.put<std::uint32_t>(RingFile::used_at, 0xfffc'0000U | 2U << 16 | 0x8000 | 5);
  auto sample = sample_ring(file.memory(), file.place(true, true));
  EXPECT_TRUE(sample.calls_suppressed);
  EXPECT_FALSE(sample.kicks_suppressed);
  EXPECT_EQ(packed_of(sample).driver.flags, 1);
  EXPECT_EQ(packed_of(sample).device.flags, 2) << "only two bits have a meaning";
  EXPECT_EQ(packed_of(sample).device.offset, 5);
  EXPECT_TRUE(packed_of(sample).device.wrap);
}

TEST(PackedRing, OfNoDriverIsNotBelieved) {
  RingFile file(8);
  for (const std::uint32_t slot : {1U, 4U}) file.packed(slot, true, false);
  EXPECT_FALSE(sample_ring(file.memory(), file.place(true)).ok());
}

TEST(HostileRing, IsReadForAsLongAsItHasMemory) {
  RingFile file;
  const auto memory = file.memory();
  for (const bool packed : {false, true}) {
    for (const std::uint32_t size : {0U, 32769U, std::numeric_limits<std::uint32_t>::max()})
      EXPECT_FALSE(sample_ring(memory, {size, file.addresses(), packed, true}).ok());
    for (const std::uint64_t address :
         {std::uint64_t{0}, ring_file_address - 1, ring_file_address + RingFile::bytes - 1, ~std::uint64_t{0}}) {
      RingAddresses wrong = file.addresses();
      wrong.used = address;
      EXPECT_FALSE(sample_ring(memory, {256, wrong, packed, true}).ok()) << address;
      wrong = file.addresses();
      wrong.available = address;
      const auto sample = sample_ring(memory, {256, wrong, packed, true});
      EXPECT_NE(sample.problem.find(packed ? "driver event" : "available ring"), std::string::npos) << sample.problem;
    }
  }
  // The largest ring fits, and its events lie where the file ends.
  EXPECT_TRUE(sample_ring(memory, {32768, file.addresses(), true, true}).ok());
  RingAddresses last = file.addresses();
  last.used = ring_file_address + RingFile::bytes - 4;
  const auto sample = sample_ring(memory, {32768, last, false, true});
  ASSERT_TRUE(sample.ok());
  EXPECT_EQ(sample.findings.size(), 1U);
  EXPECT_FALSE(split_of(sample).avail_event);
}

TEST(RegionMemory, RefusesWhatIsInNoRegion) {
  RingFile file;
  const RegionMemory memory({{0x1000, 0x1000, 0, file.fd()},
                             {0x2000, 0x1000, 0, file.fd()},
                             {0x3000, 0x1000, ~std::uint64_t{0} - 1, file.fd()},
                             {0x4000, 0x1000, std::uint64_t{1} << 63, file.fd()},
                             {0x5000, 0x1000, 0, -1},
                             {~std::uint64_t{0} - 7, 8, 0, file.fd()}});
  EXPECT_TRUE(memory.load<std::uint32_t>(0x1ffc));
  EXPECT_FALSE(memory.load<std::uint32_t>(0xffe)) << "begins before the first one";
  EXPECT_FALSE(memory.load<std::uint32_t>(0x2ffe)) << "the second of two has a bad offset";
  EXPECT_FALSE(memory.load<std::uint32_t>(0x3000));
  EXPECT_FALSE(memory.load<std::uint32_t>(0x3004)) << "the offset goes round";
  EXPECT_FALSE(memory.load<std::uint32_t>(0x4000));
  EXPECT_FALSE(memory.load<std::uint32_t>(0x5000));
  EXPECT_TRUE(memory.load<std::uint64_t>(~std::uint64_t{0} - 7));
  EXPECT_FALSE(memory.load<std::uint64_t>(~std::uint64_t{0} - 6));
}

TEST(RegionMemory, ReadsOverTheBorderOfNeighbours) {
  RingFile file;
  const std::array<std::uint32_t, 2> words{0x1122'3344, 0x5566'7788};
  ASSERT_EQ(::pwrite(file.fd(), words.data(), 4, 0x2ffc), 4);
  ASSERT_EQ(::pwrite(file.fd(), &words[1], 4, 0x1000), 4);
  // The first one's last bytes are the file's at 0x2ffc; a shorter one lies within it.
  const RegionMemory memory(
      {{0x8ff8, 4, 0, file.fd()}, {0x8000, 0x1000, 0x2000, file.fd()}, {0x9000, 0x1000, 0x1000, file.fd()}});
  EXPECT_EQ(memory.load<std::uint64_t>(0x8ffc), 0x5566'7788'1122'3344);
  EXPECT_FALSE(memory.load<std::uint64_t>(0x9ffc)) << "there is no third one";
}

TEST(RegionMemory, OutlivesATruncatedFile) {
  RingFile file;
  const auto memory = file.memory();
  ASSERT_TRUE(sample_ring(memory, file.place()).ok());
  ASSERT_EQ(::ftruncate(file.fd(), RingFile::used_at + 2), 0);
  const auto sample = sample_ring(memory, file.place());
  EXPECT_EQ(sample.problem, "used ring at 0x7f00000b0000 cannot be read");
  ASSERT_EQ(::ftruncate(file.fd(), 0), 0);
  EXPECT_FALSE(sample_ring(memory, file.place()).ok());
  ASSERT_EQ(::ftruncate(file.fd(), RingFile::bytes), 0);
  EXPECT_TRUE(sample_ring(memory, file.place()).ok());
}

TEST(RegionMemory, NeedsNoRightToWrite) {
  RingFile file;
  file.available(5).used(3);
  const UniqueFd reader(::open(("/proc/self/fd/" + std::to_string(file.fd())).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  EXPECT_EQ(sample_ring(RingFile::memory_by(reader.get()), file.place()).in_flight, 2U);
  ASSERT_EQ(::fcntl(file.fd(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_EQ(sample_ring(file.memory(), file.place()).in_flight, 2U);
}

TEST(ProcessMemory, ReadsAndFailsSoftly) {
  const auto memory = ProcessMemory::open(::getpid());
  if (!memory) GTEST_SKIP() << memory.error().message;
  const std::uint64_t value = 0x1122'3344'5566'7788;
  EXPECT_EQ(memory->load<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&value)), value);
  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{1} << 47, ~std::uint64_t{0} - 3})
    EXPECT_FALSE(memory->load<std::uint64_t>(address)) << address;
  const auto nobody = ProcessMemory::open(std::numeric_limits<int>::max());
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().system_errno, ENOENT);
}

TEST(Counter, GoesRoundAndIgnoresOneStepBack) {
  Counter counter;
  EXPECT_TRUE(counter.look(65000, 65536));
  EXPECT_FALSE(counter.look(65000, 65536));
  EXPECT_TRUE(counter.look(464, 65536));
  EXPECT_EQ(counter.total(), 1000U);
  counter.look(400, 65536);  // a number that was read while it was written
  counter.look(500, 65536);
  EXPECT_EQ(counter.total(), 1036U);
  counter.look(10, 65536);  // it really is there: the driver began anew
  counter.look(10, 65536);
  counter.look(30, 65536);
  EXPECT_EQ(counter.total(), 1056U);
}

RingSample sample_at(std::uint32_t available, std::uint32_t used, bool exact = true) {
  RingSample sample;
  sample.available_position = available;
  sample.used_position = used;
  sample.in_flight = available - used;
  sample.in_flight_min = exact ? sample.in_flight : 0;
  return sample;
}

TEST(RingHistory, HasRatesOnceItLookedTwice) {
  RingHistory history;
  EXPECT_FALSE(history.take_rates(0s).used);
  history.look(1s, sample_at(10, 10));
  history.count({5, 6});
  EXPECT_FALSE(history.take_rates(1s).used) << "no time has passed";
  history.look(2s, sample_at(40, 30));
  history.look(3s, sample_at(50, 50));
  const auto rates = history.take_rates(3s);
  EXPECT_DOUBLE_EQ(rates.available.value(), 20.0);
  EXPECT_DOUBLE_EQ(rates.used.value(), 20.0);
  EXPECT_DOUBLE_EQ(rates.most.value(), 32768.0);
  EXPECT_FALSE(rates.kicks) << "the count began after the first look";
  history.count({25, 6});
  history.look(5s, sample_at(50, 50));
  const auto later = history.take_rates(5s);
  EXPECT_DOUBLE_EQ(later.used.value(), 0.0);
  EXPECT_DOUBLE_EQ(later.kicks.value(), 10.0);
  EXPECT_DOUBLE_EQ(later.calls.value(), 0.0);
}

RingSample packed_at(std::uint32_t available, std::uint32_t used) {
  RingSample sample = sample_at(available, used);
  sample.layout = PackedSample();
  sample.modulus = 512;
  return sample;
}

TEST(RingHistory, CountsSlowPackedRings) {
  RingHistory history;
  for (std::uint32_t i = 0; i <= 100; ++i) {  // 7 in 2 ms
    history.look(1s + i * 2ms, packed_at((i * 7 + 3) % 512, i * 7 % 512));
    history.begin_close_look(1s + i * 2ms, packed_at(0, 0));
    history.look_closely(1s + i * 2ms + 100us, packed_at(0, 0));
  }
  const auto rates = history.take_rates(1200ms);
  EXPECT_EQ(rates.by, RatesBy::positions);
  EXPECT_DOUBLE_EQ(rates.available.value(), 3500.0);
  EXPECT_DOUBLE_EQ(rates.used.value(), 3500.0);
  EXPECT_DOUBLE_EQ(rates.most.value(), 128'000.0);
}

/// What goes round between two looks has the rate of the moments in which it was looked at closely.
TEST(RingHistory, SamplesPackedRingsThatGoRoundTooFast) {
  RingHistory history;
  const auto at = [](std::uint64_t us) { return packed_at((us * 2 + 3) % 512, us * 2 % 512); };  // 2 million a second
  for (std::uint64_t us = 0; us <= 200'000; us += 2000) {
    const auto now = 1s + std::chrono::microseconds(us);
    history.look(now, at(us));
    history.begin_close_look(now, at(us));
    for (const unsigned step : {10U, 25U, 90U})
      history.look_closely(now + std::chrono::microseconds(step), at(us + step));
  }
  const auto rates = history.take_rates(1200ms);
  EXPECT_EQ(rates.by, RatesBy::moments);
  EXPECT_DOUBLE_EQ(rates.available.value(), 2e6);
  EXPECT_DOUBLE_EQ(rates.used.value(), 2e6);
  EXPECT_DOUBLE_EQ(rates.most.value(), 256 / 15e-6) << "what took longer counts for nothing";
  EXPECT_EQ(history.take_rates(1300ms).by, RatesBy::positions) << "nothing was seen since";
}

TEST(RingHistory, CountsThePacketsOfPackedRingsWhereTheirBackEndDoes) {
  RingHistory history;
  history.look(1s, packed_at(10, 5));
  history.count_packets(1'000'000);
  EXPECT_FALSE(history.take_rates(1s).used);
  history.look(2s, packed_at(10, 10));
  EXPECT_EQ(history.take_rates(2s).by, RatesBy::positions) << "it was not counted when the first look was taken";
  history.count_packets(3'000'000);
  history.look(4s, packed_at(18, 10));
  auto rates = history.take_rates(4s);
  EXPECT_EQ(rates.by, RatesBy::packets);
  EXPECT_DOUBLE_EQ(rates.used.value(), 1e6);
  EXPECT_DOUBLE_EQ(rates.available.value(), 1e6 + 4);
  EXPECT_FALSE(rates.most);
  history.count_packets(5);
  EXPECT_EQ(history.take_rates(5s).by, RatesBy::positions) << "the back-end begins anew";
}

TEST(RingHistory, LeavesOutCloseLooksThatSeemToGoBack) {
  RingHistory history;
  history.look(1s, packed_at(0, 0));
  history.begin_close_look(1s, packed_at(100, 90));
  history.look_closely(1s + 10us, packed_at(99, 90));
  RingSample gone;
  gone.problem = "gone";
  history.look_closely(1s + 20us, gone);
  history.look_closely(1s + 30us, packed_at(200, 190));
  history.look_closely(1s + 40us, packed_at(210, 200));
  history.look(2s, packed_at(0, 0));
  const auto rates = history.take_rates(2s);
  EXPECT_EQ(rates.by, RatesBy::moments);
  EXPECT_NEAR(rates.used.value(), 1e6, 1e-3);
}

TEST(RingHistory, WaitsFromTheFirstThatIsNotUsed) {
  RingHistory history;
  history.look(1s, sample_at(10, 10));
  EXPECT_FALSE(history.waiting_since());
  history.look(2s, sample_at(12, 10));
  history.look(3s, sample_at(14, 10));
  EXPECT_EQ(history.waiting_since(), 2s);
  history.look(4s, sample_at(15, 11));
  EXPECT_EQ(history.waiting_since(), 4s) << "slow, not stuck";
  RingSample gone;
  gone.problem = "gone";
  history.look(5s, gone);
  EXPECT_FALSE(history.waiting_since());
}

TEST(RingHistory, BelievesAnInexactRingOnlyWhenTheDriverMovesAlone) {
  RingHistory history;  // a packed ring: one descriptor too many after chains of two
  history.look(1s, sample_at(10, 9, false));
  history.look(2s, sample_at(12, 11, false));
  history.look(9s, sample_at(12, 11, false));
  EXPECT_FALSE(history.waiting_since());
  history.look(10s, sample_at(14, 11, false));
  history.look(12s, sample_at(14, 11, false));
  EXPECT_EQ(history.waiting_since(), 10s);
}

TEST(MemoryNodes, CountWhatIsThereAndAllocateNothing) {
  RingFile file;
  const auto nothing = memory_nodes({file.fd(), 0, RingFile::bytes});
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->absent, 256U);
  struct stat status {};
  ASSERT_EQ(::fstat(file.fd(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
  for (std::uint64_t page = 0; page < 16; ++page) file.put<std::uint8_t>(page * 4096, 1);
  const auto some = memory_nodes({file.fd(), 4096, RingFile::bytes});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->placed() + some->unknown, 15U);
  EXPECT_EQ(some->absent, 240U);
  ASSERT_EQ(::ftruncate(file.fd(), 8192), 0);
  EXPECT_EQ(memory_nodes({file.fd(), 0, RingFile::bytes})->absent, 0U) << "what lies behind the end is left out";
  EXPECT_FALSE(memory_nodes({file.fd(), 8192, 1}));
  EXPECT_FALSE(memory_nodes({-1, 0, 1}));
}

TEST(MemoryNodes, AreSampled) {
  if (!has_terabytes()) GTEST_SKIP() << no_terabytes;
  const UniqueFd large(::memfd_create("large", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(large.get(), off_t{1} << 40), 0);
  EXPECT_EQ(memory_nodes({large.get(), 4096, std::uint64_t{1} << 40})->absent, 512U);
}

TEST(MemoryNodes, AreSaid) {
  EXPECT_EQ(text_of_nodes({{{0, 512}}, 0, 0}), "node 0: 512 pages");
  EXPECT_EQ(text_of_nodes({{{0, 400}, {1, 100}}, 12, 1}), "node 0: 400 pages, node 1: 100 pages, 12 absent, 1 unknown");
  EXPECT_EQ(text_of_nodes({}), "no pages");
}

}  // namespace
}  // namespace vhostx::test
