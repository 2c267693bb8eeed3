// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-bench makes of its command line.
#include <string>

#include <gtest/gtest.h>

#include "tests/tools/command_line.hpp"
#include "tools/bench/options.hpp"

namespace vhostx::tools::bench {
namespace {

std::variant<Options, EarlyExit> parse(const std::string& line) { return parse_options(words_of(line)); }

Options good(const std::string& line) { return accepted(line, parse(line)); }

/// Refused with exit code 2, and the text says `why`.
void expect_refused(const std::string& line, const std::string& why) {
  const auto text = refusal(line, parse(line));
  EXPECT_NE(text.find(why), std::string::npos) << line << ": " << text;
}

TEST(BenchOptions, ChooseTheModeByTheNumberOfGuests) {
  EXPECT_EQ(good("--connect /a").mode, Mode::loopback);
  EXPECT_EQ(good("--connect /a --connect /b").mode, Mode::pair);
  EXPECT_EQ(good("--connect /a --connect /b --mode latency").mode, Mode::latency);
  expect_refused("--connect /a --connect /b --mode tx", "--mode tx: expected one endpoint, not 2");
  expect_refused("--connect /a --mode pair", "expected two endpoints");
  EXPECT_EQ(good("--connect /a --mode rx --size 1518").sizes, std::vector<std::uint32_t>{1518});
  expect_refused("--connect /a --mode rx --sizes 64,1518", "--mode rx: 2 sizes: expected one");
  expect_refused("compare /a /b --mode rx --sizes sweep", "--mode rx: 6 sizes: expected one");
  expect_refused("--connect /a --bidirectional", "expected two endpoints");
}

TEST(BenchOptions, TakeSocketsBothRolesAndTaps) {
  const auto options = good("--connect /a,server --connect tap:vhx0");
  ASSERT_EQ(options.sides.size(), 1U);
  ASSERT_EQ(options.sides[0].endpoints.size(), 2U);
  EXPECT_TRUE(options.sides[0].endpoints[0].listen);
  EXPECT_TRUE(options.sides[0].endpoints[1].tap);
  EXPECT_EQ(options.sides[0].endpoints[1].path, "vhx0");
  expect_refused("--connect tap:averyveryverylongname", "interface's name has 21 bytes: expected 1 to 15");
  expect_refused("--connect /" + std::string(200, 'x'), "201 bytes: expected 1 to 107");
  expect_refused("--connect /a --connect /b --connect /c", "3 endpoints: expected one or two");
  expect_refused("", "expected --connect SOCKET, or compare A B");
}

TEST(BenchOptions, TakeSizes) {
  EXPECT_EQ(good("--connect /a --sizes 64,1518,65536").sizes, (std::vector<std::uint32_t>{64, 1518, 65536}));
  EXPECT_EQ(good("--connect /a --size 128").sizes, std::vector<std::uint32_t>{128});
  EXPECT_EQ(good("--connect /a --sizes sweep").sizes, (std::vector<std::uint32_t>{64, 128, 256, 512, 1024, 1518}));
  EXPECT_EQ(good("--connect /a --sizes sweep,9000,65536").sizes,
            (std::vector<std::uint32_t>{64, 128, 256, 512, 1024, 1518, 9000, 65536}));
  EXPECT_FALSE(good("--connect /a --size 9000").guest.offload);
  EXPECT_TRUE(good("--connect /a --sizes 64,65536").guest.offload);
  expect_refused("--connect /a --sizes 63", "'63' is no frame size: expected 64 to 65549 bytes, or sweep");
  expect_refused("--connect /a --sizes 64,", "'' is no frame size");
  expect_refused("--connect /a --sizes 64x", "'64x' is no frame size");
}

TEST(BenchOptions, DescribeTheGuest) {
  const auto options = good("--connect /a --no-mergeable --indirect --event-idx --ring-size 1024 --queue-pairs 2");
  EXPECT_FALSE(options.guest.mergeable);
  EXPECT_TRUE(good("--connect /a").guest.mergeable);
  EXPECT_EQ(options.guest.layout, ChainLayout::indirect);
  EXPECT_TRUE(options.guest.event_idx);
  EXPECT_EQ(options.guest.ring_size, 1024);
  EXPECT_EQ(options.guest.queue_pairs, 2);
  EXPECT_EQ(good("--connect /a --ring-size 32768").guest.ring_size, 32768);
  for (const char* const size : {"100", "4", "65536", "-1", "256x", "99999999999999999999"})
    expect_refused("--connect /a --ring-size " + std::string(size),
                   "--ring-size is '" + std::string(size) + "': expected a power of two from 8 to 32768");
  expect_refused("--connect /a --two-descriptors --indirect", "expected one of them");
  EXPECT_FALSE(options.guest.packed);
  EXPECT_TRUE(good("--connect /a --packed").guest.packed);
  EXPECT_EQ(good("--connect /a --ring-size 100 --packed").guest.ring_size, 100);
  expect_refused("compare /a /b --packed --legacy", "--packed and --legacy: expected one of them");
}

TEST(BenchOptions, LimitWhatIsUnderWayOnlyWhenTold) {
  EXPECT_FALSE(good("--connect /a").in_flight.has_value());
  EXPECT_EQ(good("--connect /a --in-flight 0").in_flight, 0U);
  EXPECT_EQ(good("compare /a /b --in-flight 5").in_flight, 5U);
  for (const char* const count : {"-3", "1000001", "99999999999999999999", "few"})
    expect_refused("--connect /a --in-flight " + std::string(count),
                   "--in-flight is '" + std::string(count) + "': expected packets, 0 to 1000000");
}

TEST(BenchOptions, MeasureTheLimitBetweenTwoCpus) {
  const auto options = good("--connect /a --limit --cpu 1 --limit-cpu 0");
  EXPECT_TRUE(options.limit);
  EXPECT_EQ(options.limit_cpu, 0);
  EXPECT_TRUE(good("compare /a /b --limit --cpu 0 --limit-cpu 1").limit);
  EXPECT_EQ(good("--connect /a --cpu 1").limit_cpu, -1);
  expect_refused("--connect /a --limit", "--cpu is not given, --limit-cpu is not given: expected two different CPUs");
  expect_refused("--connect /a --limit --cpu 1", "--limit: --cpu is 1, --limit-cpu is not given");
  expect_refused("--connect /a --limit --limit-cpu 1", "--cpu is not given, --limit-cpu is 1");
  expect_refused("compare /a /b --limit --cpu 1 --limit-cpu 1", "--cpu is 1, --limit-cpu is 1");
}

TEST(BenchOptions, CompareTwoBackEnds) {
  const auto two = good("compare /a /b --size 128 --pid-b 77");
  ASSERT_EQ(two.sides.size(), 2U);
  EXPECT_TRUE(two.compares());
  EXPECT_EQ(two.sides[0].label, "/a");
  EXPECT_EQ(two.sides[1].pid, 77);
  EXPECT_EQ(two.sizes, std::vector<std::uint32_t>{128});
  const auto pairs = good("compare --a /a0,/a1 --b /b0,/b1 --label-a ours --label-b theirs");
  EXPECT_EQ(pairs.mode, Mode::pair);
  EXPECT_EQ(pairs.sides[0].label, "ours");
  EXPECT_EQ(pairs.sides[1].endpoints[1].path, "/b1");
  expect_refused("compare /a", "expected two back-ends");
  expect_refused("compare --a /a", "expected two back-ends");
  expect_refused("compare --a /a0,/a1 --b /b", "2 and 1 endpoints");
  expect_refused("--connect /c compare /a /b", "--connect does not go with compare");
}

TEST(BenchOptions, MigrateTheLastGuest) {
  EXPECT_FALSE(good("--connect /a").log);
  const auto pair = good("--connect /a --connect /b --log /c,server");
  ASSERT_TRUE(pair.log);
  EXPECT_EQ(pair.log->path, "/c");
  EXPECT_TRUE(pair.log->listen);
  EXPECT_TRUE(good("--connect /a --log /b").log);
  EXPECT_TRUE(good("--connect tap:a --connect /b --log /c").log) << "the TAP stays";
  expect_refused("--connect /a --connect tap:b --log /c", "expected one socket, for a guest of --connect");
  expect_refused("--connect /a --log tap:b", "--log tap:b: expected one socket");
  expect_refused("--connect /a --connect /b --log /b", "--log /b: expected another socket");
  expect_refused("--connect /a --log /b --mode latency", "--log with --mode latency");
  expect_refused("compare /a /b --log /c", "--log");
}

TEST(BenchOptions, HelpNamesEveryMode) {
  auto parsed = parse("--help");
  const auto* exit = std::get_if<EarlyExit>(&parsed);
  ASSERT_NE(exit, nullptr);
  EXPECT_EQ(exit->code, 0);
  for (const char* const word :
       {"--mode", "tx", "latency", "--sizes", "'sweep'", "compare", "--no-mergeable", "--plot"})
    EXPECT_NE(exit->text.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace vhostx::tools::bench
