// SPDX-License-Identifier: BSD-3-Clause
// Text of the report that is safe, and where its drawings put things.
#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>

#include "probe_report_fixture.hpp"
#include "tools/probe/report/html.hpp"
#include "tools/probe/report/memory_drawing.hpp"
#include "tools/probe/report/ring_drawing.hpp"
#include "tools/probe/report/sequence.hpp"

namespace vhostx::test {
namespace {

using Request = FrontEndRequest;

TEST(ProbeReportHtml, EscapesWhatIsNoHtml) {
  EXPECT_EQ(escaped("<a href=\"x\" b='&'>"), "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;");
  EXPECT_EQ(escaped("aä€😀"), "aä€😀");
  EXPECT_EQ(escaped("a\x01\x7f\n"), "a\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escaped("\u202egnp.exe\u2066"), "\uFFFDgnp.exe\uFFFD") << "turned round";
  EXPECT_EQ(escaped("\xff\xc3"), "\uFFFD\uFFFD");
  EXPECT_EQ(escaped("\xc0\xbc"), "\uFFFD\uFFFD") << "an overlong '<'";
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "half a surrogate pair";
}

TEST(ProbeReportHtml, MakesValuesSafeByTheirType) {
  EXPECT_EQ(html("<b>{}</b>{}{}", std::string("<i>"), Html{"<br>"}, 7).text, "<b>&lt;i&gt;</b><br>7");
}

TEST(ProbeReportHtml, ShortensBetweenCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc…");
  EXPECT_EQ(shortened("aä€", 4), "aä…");
}

TEST(ProbeReportTimes, HaveThreeFigures) {
  using namespace std::chrono_literals;
  EXPECT_EQ(text_of_time(0ns), "0 ns");
  EXPECT_EQ(text_of_time(999ns), "999 ns");
  EXPECT_EQ(text_of_time(53'210ns), "53.2 µs");
  EXPECT_EQ(text_of_time(1'204ms), "1.20 s");
  EXPECT_EQ(text_of_time(-5ms), "-5.00 ms");
  EXPECT_EQ(text_of_moment(61'000'001'999ns), "61.000001");
}

// ---- drawings

void expect_apart(const Stack& stack, double least) {
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    EXPECT_GE(stack.blocks[i].height, least);
    const double end = stack.blocks[i].y + stack.blocks[i].height;
    EXPECT_LE(end, i + 1 < stack.blocks.size() ? stack.blocks[i + 1].y : stack.bottom + 0.001);
  }
}

TEST(ProbeReportStack, OrdersScalesAndCompressesHoles) {
  const std::vector<AddressBlock> blocks{{4 * gib, 2 * gib}, {0, gib}, {gib, gib}};
  const Stack stack = stack_of(blocks, {10, 400, 20, 15});
  ASSERT_EQ(stack.blocks.size(), 3U);
  EXPECT_EQ(stack.blocks[0].index, 1U);
  EXPECT_EQ(stack.blocks[2].index, 0U);
  EXPECT_DOUBLE_EQ(stack.blocks[0].y, 10);
  EXPECT_DOUBLE_EQ(stack.blocks[0].height, 100);
  EXPECT_DOUBLE_EQ(stack.blocks[1].y, 110) << "no hole";
  EXPECT_DOUBLE_EQ(stack.blocks[2].y, 225) << "a hole of whatever size takes 15";
  EXPECT_EQ(stack.blocks[2].hole, 2 * gib);
  EXPECT_DOUBLE_EQ(stack.bottom, 425);
  EXPECT_FALSE(stack.raised);
  EXPECT_DOUBLE_EQ(stack.find(0)->y, 225);
  EXPECT_EQ(stack.find(3), nullptr);
}

TEST(ProbeReportStack, NeverOverlapsWhateverTheAddresses) {
  const std::vector<AddressBlock> blocks{
      {0, gib}, {0, gib}, {mib, 4096}, {UINT64_MAX - 5, 4096}, {0, UINT64_MAX}, {7, 0}, {UINT64_MAX, UINT64_MAX}};
  const Stack stack = stack_of(blocks, {0, 300, 40, 20});
  ASSERT_EQ(stack.blocks.size(), blocks.size());
  EXPECT_TRUE(stack.raised);
  expect_apart(stack, 40);
  EXPECT_EQ(
      std::count_if(stack.blocks.begin(), stack.blocks.end(), [](const auto& block) { return block.overlap > 0; }), 4);
  EXPECT_TRUE(stack_of({}, {0, 300, 40, 20}).blocks.empty());
}

TEST(ProbeReportStack, SpreadsLabels) {
  const std::vector<double> wanted{10, 11, 12, 100};
  EXPECT_EQ(spread(wanted, 15), (std::vector<double>{10, 25, 40, 100}));
}

TEST(ProbeReportMemory, HasEveryRegionAndEveryArea) {
  const auto data = gather(whole_session());
  ASSERT_EQ(data.violation_count, 0U);
  const SessionState& state = data.connections.front().peak;
  const MemoryLayout layout = lay_out_memory(state);
  ASSERT_EQ(layout.regions.blocks.size(), 3U);
  expect_apart(layout.regions, 40);
  ASSERT_EQ(layout.marks.size(), 6U);
  for (const RingMark& mark : layout.marks) {
    const PlacedBlock& block = *layout.regions.find(mark.ring == 0 ? 2 : 0);
    EXPECT_GT(mark.y, block.y);
    EXPECT_LT(mark.y, block.y + block.height);
  }
  ASSERT_EQ(layout.labels.size(), 2U);
  EXPECT_EQ(layout.labels[0].text, "ring 0");
  EXPECT_EQ(layout.labels[1].text, "ring 1");
  const std::string svg = memory_drawing(state, layout, "x").text;
  EXPECT_EQ(count(svg, "class=\"region\""), 3U);
  EXPECT_EQ(count(svg, "class=\"mark "), 6U);
  EXPECT_TRUE(contains(svg, "hole of 384 KiB")) << svg;
  EXPECT_TRUE(contains(svg, "hole of 1 GiB"));
}

TEST(ProbeReportMemory, SpreadsLabelsOfManyRings) {
  Recording recording;
  recording.open().negotiate(features, reply_ack);
  const MemoryRegion region{0, gib, base, 0};
  recording.memory(std::span(&region, 1));
  for (std::uint32_t i = 0; i < 60; ++i) recording.ring(i, 256, base + (i < 30 ? i * 16384 : i * 10 * mib));
  const MemoryLayout layout = lay_out_memory(gather(recording).connections.front().peak);
  EXPECT_EQ(layout.marks.size(), 180U);
  EXPECT_EQ(layout.labels.front().text, "rings 0–29");
  for (std::size_t i = 1; i < layout.labels.size(); ++i)
    EXPECT_GE(layout.labels[i].y - layout.labels[i - 1].y, 12) << layout.labels[i].text;
  EXPECT_LT(layout.labels.back().y, layout.height);
}

TEST(ProbeReportRings, HaveTheirAreasWhereTheyAre) {
  const auto data = gather(whole_session());
  const SessionState& state = data.connections.front().peak;
  const auto areas = areas_of(state, state.rings.at(1));
  ASSERT_TRUE(areas);
  EXPECT_EQ((*areas)[0].bytes, 4096U);
  EXPECT_EQ((*areas)[1].bytes, 518U);
  EXPECT_EQ((*areas)[2].bytes, 2054U);
  EXPECT_EQ((*areas)[0].region, 0U);
  EXPECT_EQ((*areas)[0].guest_address, 5 * gib);
  const Stack stack = lay_out_ring(*areas);
  expect_apart(stack, 40);
  EXPECT_GT(stack.find(0)->height, stack.find(2)->height);
  EXPECT_EQ(stack.find(2)->hole, 58U);
  const std::string cards = ring_cards(state, "c1").text;
  EXPECT_EQ(count(cards, "<section class=\"ring\""), 2U);
  EXPECT_EQ(count(cards, "class=\"area\""), 6U);
}

TEST(ProbeReportRings, SayWhatIsAmiss) {
  Recording recording;
  recording.open().negotiate(features, reply_ack).memory(three_regions()).ring(0, 256, 0x1000);
  recording.request(Request::set_vring_num, VringState{7, 64});
  const std::string page = page_of(recording);
  EXPECT_EQ(count(page, "✖ lies in no region"), 3U);
  EXPECT_TRUE(contains(page, "3 areas of rings lie in no region"));
  EXPECT_TRUE(contains(page, "Its addresses were not set."));
}

TEST(ProbeReportRings, MayLieInTwoRegions) {
  Recording recording;
  const std::array<MemoryRegion, 2> regions{{{gib, mib, base, 0}, {gib + mib, mib, base + mib, 0}}};
  recording.open().negotiate(features, reply_ack).memory(regions).ring(0, 256, base + mib - 2048);
  const std::string page = page_of(recording);
  EXPECT_TRUE(contains(page, "guest 0x400ff800, regions 0 and 1")) << page;
  EXPECT_EQ(count(page, "lies in no region"), 0U);
}

TEST(ProbeReportRings, AreNumberedInRanges) {
  EXPECT_EQ(ranges_of({0, 1, 2, 3, 7, 9, 10}), "0–3, 7, 9, 10");
  EXPECT_EQ(ranges_of({}), "");
}

}  // namespace
}  // namespace vhostx::test
