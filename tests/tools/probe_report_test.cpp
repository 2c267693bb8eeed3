// SPDX-License-Identifier: BSD-3-Clause
// The page of a record: what is in it, where drawings put things, and that nothing in a record can get out of its
// place.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "probe_recording.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/report/html.hpp"
#include "tools/probe/report/memory_drawing.hpp"
#include "tools/probe/report/page.hpp"
#include "tools/probe/report/report_data.hpp"
#include "tools/probe/report/ring_drawing.hpp"
#include "tools/probe/report/sequence.hpp"
#include "tools/probe/report/write_page.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;
using Request = FrontEndRequest;
using tools::EarlyExit;

constexpr std::uint64_t mib = 1024 * 1024;
constexpr std::uint64_t gib = 1024 * mib;
constexpr std::uint64_t features = std::uint64_t{1} << 32 | std::uint64_t{1} << 30;
constexpr std::uint64_t reply_ack = 1 << 3;
constexpr std::uint64_t base = 0x7f0000000000;

ReportData gather(const Recording& recording) {
  Collector collector("test.jsonl");
  for (const Event& event : recording.events()) collector.take(event);
  return collector.finish();
}

std::string page_of(const Recording& recording) { return html_of(gather(recording)); }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<MemoryRegion> three_regions() {
  return {{4 * gib, 2 * gib, base + 3 * gib, 3 * gib}, {0, 640 * 1024, base, 0}, {mib, 3 * gib - mib, base + mib, mib}};
}

/// Two rings in three regions.
Recording whole_session() {
  Recording recording;
  recording.open().negotiate(features, reply_ack).memory(three_regions());
  return recording.ring(0, 256, base + 16 * mib).ring(1, 256, base + 4 * gib);
}

TEST(ProbeReportOptions, AreRead) {
  const auto parsed = parse_options({"report", "a.jsonl", "--html", "a.html"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  const auto& options = std::get<ReportOptions>(std::get<Options>(parsed));
  EXPECT_EQ(options.path, "a.jsonl");
  EXPECT_EQ(options.html, "a.html");
  EXPECT_TRUE(std::holds_alternative<EarlyExit>(parse_options({"report", "a.jsonl"})));
  EXPECT_TRUE(std::holds_alternative<EarlyExit>(parse_options({"report", "--html", "a.html"})));
}

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

TEST(ProbeReportRings, AreNumberedInRanges) {
  EXPECT_EQ(ranges_of({0, 1, 2, 3, 7, 9, 10}), "0–3, 7, 9, 10");
  EXPECT_EQ(ranges_of({}), "");
}

// ---- the page

TEST(ProbeReportPage, CountsWhatTheRecordHas) {
  const std::string page = page_of(whole_session().wait(std::chrono::seconds(2)).close());
  EXPECT_EQ(count(page, "<h1>"), 1U);
  EXPECT_TRUE(contains(page, "<h1>qemu and switch</h1>"));
  EXPECT_EQ(count(page, "class=\"arrow "), 20U);
  EXPECT_EQ(count(page, "<section class=\"ring\""), 2U);
  EXPECT_TRUE(contains(page, "None: no message of this session breaks a rule"));
  EXPECT_TRUE(contains(page, "2.00 s of silence"));
  EXPECT_TRUE(contains(page, "answered by 3 after 10.0 µs"));
  EXPECT_TRUE(contains(page, "yes: 2 of 2 features, 1 of 1 protocol features"));
}

TEST(ProbeReportPage, HasFindingsFirstAndLinkedToTheirMessages) {
  Recording recording = whole_session();
  recording.request(Request::set_owner);                             // the second time: 22
  recording.request(static_cast<Request>(77));                       // not known: 23
  recording.request(Request::set_features, U64{features | 1 << 5});  // not offered: 24
  const auto data = gather(recording);
  EXPECT_EQ(data.violation_count, 2U);
  EXPECT_EQ(data.remark_count, 1U);
  const std::string page = html_of(data);
  EXPECT_LT(page.find("SET_OWNER for the second time"), page.find("features VIRTIO_NET_F_MAC were not offered"));
  EXPECT_LT(page.find("features VIRTIO_NET_F_MAC were not offered"), page.find("request 77 is not known"));
  EXPECT_LT(page.find("request 77 is not known"), page.find("id=\"summary\""));
  EXPECT_TRUE(contains(page, "<a href=\"#c1-m22\">22</a>"));
  EXPECT_TRUE(contains(page, "id=\"c1-m22\""));
  EXPECT_TRUE(contains(page, "✖ not offered"));
  EXPECT_TRUE(contains(page, "✖ violation:</b> SET_OWNER for the second time"));
}

TEST(ProbeReportPage, GroupsFindingsThatSayTheSame) {
  Recording recording = whole_session();
  for (int i = 0; i < 3000; ++i) recording.request(Request::set_owner);
  const auto data = gather(recording);
  ASSERT_EQ(data.violations.size(), 1U);
  EXPECT_EQ(data.violations[0].count, 3000U);
  const std::string page = html_of(data);
  EXPECT_TRUE(contains(page, "and 2980 more"));
  EXPECT_TRUE(contains(page, "3000 violations"));
}

TEST(ProbeReportPage, ShowsUnknownFeaturesByNumber) {
  Recording recording;
  recording.open().negotiate(features | std::uint64_t{1} << 50, reply_ack | std::uint64_t{1} << 40);
  const std::string page = page_of(recording);
  EXPECT_TRUE(contains(page, "<code>bit 50</code>"));
  EXPECT_TRUE(contains(page, "<code>bit 40</code>"));
  EXPECT_TRUE(contains(page, "<code>VIRTIO_F_VERSION_1</code>"));
}

TEST(ProbeReportPage, DrawsTheFullestStateNotTheLast) {
  Recording recording = whole_session();  // 21 events
  recording.stop_ring(0).stop_ring(1).memory({}).close();
  const auto data = gather(recording);
  const ConnectionData& connection = data.connections.front();
  EXPECT_TRUE(connection.final_state.regions.empty());
  EXPECT_EQ(connection.peak.regions.size(), 3U);
  EXPECT_EQ(fullness_of(connection.peak).running, 2U);
  EXPECT_EQ(connection.peak_event, 22U) << "GET_VRING_BASE was asked, not answered";
  EXPECT_TRUE(contains(html_of(data), "As it stood after event <a href=\"#c1-m22\">22</a>"));
}

TEST(ProbeReportPage, TakesTheLastOfEquallyFullStates) {
  Recording recording = whole_session();
  recording.stop_ring(0).stop_ring(1).ring(0, 128, base + 32 * mib).ring(1, 128, base + 48 * mib).stop_ring(0);
  const auto data = gather(recording);
  EXPECT_EQ(data.connections.front().peak.rings.at(0).size, 128U);
}

TEST(ProbeReportPage, HasASectionForEachConnection) {
  Recording recording = whole_session();
  recording.close().connection(2).open("other", "switch").request(Request::get_features);
  recording.connection(1).note("late").connection(2).close();
  const std::string page = page_of(recording);
  EXPECT_EQ(count(page, "<section class=\"connection\""), 2U);
  EXPECT_TRUE(contains(page, "id=\"c1-sequence\""));
  EXPECT_TRUE(contains(page, "id=\"c2-sequence\""));
  EXPECT_TRUE(contains(page, "connection 2, event <a href=\"#c2-m3\">3</a>")) << "never answered";
}

TEST(ProbeReportPage, LooksIntoSoManyConnectionsOnly) {
  Recording recording;
  for (std::uint32_t i = 1; i <= Collector::connections_max + 10; ++i) recording.connection(i).open().close();
  const auto data = gather(recording);
  EXPECT_EQ(data.connections.size(), Collector::connections_max);
  EXPECT_EQ(data.events_of_other_connections, 20U);
  EXPECT_TRUE(contains(html_of(data), "20 events of the later ones were not looked into"));
}

TEST(ProbeReportPage, DrawsTheBackEndsChannelWhereItIsUsed) {
  Recording recording = whole_session();
  EXPECT_TRUE(contains(page_of(recording), "class=\"sequence two\""));
  recording.message(Incoming::back_end_requests, 2, {}, {}, Header::need_reply);
  const std::uint64_t good = 0;
  recording.message(Incoming::replies_to_back_end, 2, std::as_bytes(std::span(&good, 1)));
  const std::string page = page_of(recording);
  EXPECT_TRUE(contains(page, "class=\"sequence three\""));
  EXPECT_TRUE(contains(page, "arrow side right request"));
  EXPECT_TRUE(contains(page, "arrow side left reply"));
}

// ---- folding

TEST(ProbeReportSequence, FoldsRunsOfEqualMessages) {
  Recording recording = whole_session();
  for (int i = 0; i < 512; ++i) recording.request(Request::set_vring_call, U64{1}, {Recording::event_fd()});
  recording.request(Request::get_features).reply(Request::get_features, U64{features});
  const auto data = gather(recording);
  const auto& runs = data.connections.front().runs;
  const auto run = std::find_if(runs.begin(), runs.end(), [](const auto& each) { return each.folded(); });
  ASSERT_NE(run, runs.end());
  EXPECT_EQ(run->messages, 512U);
  EXPECT_EQ(run->steps.size(), Collector::run_steps_max);
  const std::string page = html_of(data);
  EXPECT_TRUE(contains(page, "<wbr>CALL ×512</span>"));
  EXPECT_TRUE(contains(page, "412 messages more like these, not drawn"));
  EXPECT_EQ(anchor_in(data.connections.front(), run->first), anchor_of(1, run->first));
  EXPECT_EQ(anchor_in(data.connections.front(), run->last), "c1-run" + std::to_string(run->first));
}

TEST(ProbeReportSequence, FoldsRequestsWithTheirAcknowledgements) {
  Recording recording = whole_session();
  for (int i = 0; i < 100; ++i)
    recording.request(Request::set_vring_call, U64{1}, {Recording::event_fd()}, Header::need_reply)
        .reply(Request::set_vring_call, U64{0});
  const std::string page = page_of(recording);
  EXPECT_TRUE(contains(page, "×100</span>"));
  EXPECT_TRUE(contains(page, "200 messages in 1.99 ms: 100 requests, 100 replies; the slowest answered after 10.0 µs"));
}

/// Each "#..." that a link names is there, once.
void expect_links_whole(const std::string& page) {
  std::multiset<std::string> ids;
  const std::regex id("id=\"([^\"]*)\"");
  for (std::sregex_iterator at(page.begin(), page.end(), id), end; at != end; ++at) ids.insert((*at)[1]);
  const std::regex link("href=\"#([^\"]*)\"");
  for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at)
    EXPECT_EQ(ids.count((*at)[1]), 1U) << (*at)[1];
  EXPECT_EQ(count(page, "href="), count(page, "href=\"#")) << "a link that leaves the page";
}

TEST(ProbeReportSequence, StaysUsableWithTenThousandMessages) {
  Recording recording = whole_session();
  for (std::uint32_t i = 0; i < 2500; ++i) {
    recording.request(Request::set_vring_call, U64{i % 2}, {Recording::event_fd()});
    recording.request(Request::set_vring_enable, VringState{i % 2, 1});
    recording.request(Request::get_status).reply(Request::get_status, U64{15});
  }
  const auto before = std::chrono::steady_clock::now();
  const auto data = gather(recording);
  const std::string page = html_of(data);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20)) << "sanitizers included";
  EXPECT_LT(page.size(), 8 * mib);
  EXPECT_GT(count(page, "<details class=\"part\""), 10U);
  expect_links_whole(page);
}

TEST(ProbeReportSequence, IsBoundedForLongAndHostileRecords) {
  Recording recording;
  recording.open().negotiate(features, reply_ack);
  FdFacts file = Recording::memory_file();
  file.name = std::string(4000, '"');
  const MemoryRegion region{0, mib, base, 0};
  for (std::uint32_t i = 0; i < 2000; ++i) {
    recording.request(Request::set_vring_num, VringState{i, i}, std::vector<FdFacts>(8, file));
    recording.request(Request::add_mem_reg, SingleMemoryRegion{0, region}, {file});
  }
  recording.close();
  const auto data = gather(recording);
  EXPECT_GT(data.connections.front().omitted, 0U);
  EXPECT_EQ(data.connections.front().tail.size(), Collector::tail_max);
  const std::string page = html_of(data);
  EXPECT_LT(page.size(), 48 * mib);
  EXPECT_TRUE(contains(page, "more, not drawn: the page would be too large"));
  EXPECT_TRUE(contains(page, "the front-end closed it")) << "how it ended is shown in every case";
  expect_links_whole(page);
}

// ---- trust

TEST(ProbeReportPage, KeepsHostileTextInItsPlace) {
  const std::string evil = "</script></style></title></svg>'\"><img src=http://example.invalid/x onerror=alert(1)>";
  Recording recording;
  FdFacts file = Recording::memory_file();
  file.kind = file.name = evil;
  file.seals = {evil};
  recording.open(evil, evil).negotiate(features, reply_ack);
  const MemoryRegion region{0, mib, base, 0};
  const MemoryTable table{{1, 0}, {region}};
  recording.message(Incoming::front_end_requests, 5, std::as_bytes(std::span(&table, 1)).first(40), {file});
  recording.ring(0, 16, base).note(evil).close(evil);
  Collector collector(evil);
  collector.begin({evil, evil, evil, evil});
  for (const Event& event : recording.events()) collector.take(event);
  ReportData data = collector.finish();
  data.damage = evil;
  const std::string page = html_of(data);
  EXPECT_EQ(count(page, "<img"), 0U);
  EXPECT_EQ(count(page, "<script"), 0U);
  EXPECT_EQ(count(page, "</style>"), 1U);
  EXPECT_GT(count(page, "&lt;img src=http://example.invalid/x"), 5U);
  EXPECT_TRUE(contains(page, "content=\"default-src 'none'; style-src 'unsafe-inline'"));
  for (const char* asks : {"src=", "@import", "url(", "srcset=", "<link", "<object", "<iframe", "<form"})
    EXPECT_EQ(count(page, asks), count(page, "&lt;img src=") * (std::string(asks) == "src=" ? 1U : 0U)) << asks;
}

// ---- files

class ProbeReportFiles : public testing::Test {
 protected:
  ProbeReportFiles() {
    std::string name = testing::TempDir() + "/probe-report-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = name;
  }
  ~ProbeReportFiles() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name) const { return directory_ + "/" + name; }
  void write(const char* name, const std::string& text) const { std::ofstream(path(name), std::ios::binary) << text; }
  std::string read(const char* name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  int report() const { return run_report({path("a.jsonl"), path("a.html")}); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::string directory_;
};

TEST_F(ProbeReportFiles, WritesThePageAndReplacesIt) {
  write("a.jsonl", whole_session().text());
  write("a.html", "old");
  ::chmod(path("a.html").c_str(), 0640);
  EXPECT_EQ(report(), 0);
  EXPECT_EQ(read("a.html").rfind("<!DOCTYPE html>", 0), 0U);
  struct stat status {};
  ::stat(path("a.html").c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
  EXPECT_EQ(files(), 2U) << "nothing is left beside them";
}

TEST_F(ProbeReportFiles, ReplacesWhatALinkNames) {
  write("real.html", "old");
  ASSERT_EQ(::symlink("real.html", path("a.html").c_str()), 0);
  ASSERT_TRUE(write_page(path("a.html"), "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("a.html")));
  EXPECT_EQ(read("real.html"), "new");
}

TEST_F(ProbeReportFiles, ReportsADamagedRecordUpToItsDamage) {
  write("a.jsonl", whole_session().text() + "rubbish <b>\n" + line_of(Event{}));
  EXPECT_EQ(report(), 1);
  const std::string page = read("a.html");
  EXPECT_TRUE(contains(page, "✖ damaged record"));
  EXPECT_TRUE(contains(page, "line 23: no JSON object: &#39;rubbish &lt;b&gt;&#39;"));
  EXPECT_EQ(count(page, "class=\"arrow "), 20U);
  EXPECT_TRUE(contains(page, "vhostx-probe test")) << "the header was read";
}

TEST_F(ProbeReportFiles, LeavesOutALastLineWithoutItsEnd) {
  const std::string text = whole_session().text();
  write("a.jsonl", text.substr(0, text.size() - 20));
  EXPECT_EQ(report(), 0);
  const std::string page = read("a.html");
  EXPECT_EQ(count(page, "class=\"arrow "), 19U);
  EXPECT_TRUE(contains(page, "The last line of the record has no end"));
}

TEST_F(ProbeReportFiles, WritesNoPageOfWhatIsNoRecord) {
  for (const char* text : {"", "\n", "{}\n", "a\n", "{\"format\":\"vhostx-probe record\",\"version\":99}\n"}) {
    write("a.jsonl", text);
    write("a.html", "old");
    EXPECT_EQ(report(), 1) << text;
    EXPECT_EQ(read("a.html"), "old");
  }
  EXPECT_EQ(run_report({path("none.jsonl"), path("b.html")}), 1);
  EXPECT_EQ(run_report({directory_, path("b.html")}), 1) << "a directory";
  EXPECT_EQ(files(), 2U);
}

TEST_F(ProbeReportFiles, ReportsARecordWithoutEvents) {
  write("a.jsonl", Recording().text());
  EXPECT_EQ(report(), 0);
  EXPECT_TRUE(contains(read("a.html"), "0 messages, and nothing found"));
}

TEST_F(ProbeReportFiles, RefusesToReplaceTheRecordAndWhatCannotBe) {
  write("a.jsonl", whole_session().text());
  EXPECT_EQ(run_report({path("a.jsonl"), path("a.jsonl")}), 2);
  EXPECT_EQ(run_report({path("a.jsonl"), directory_}), 1);
  EXPECT_EQ(run_report({path("a.jsonl"), path("none/a.html")}), 1);
  EXPECT_EQ(run_report({path("a.jsonl"), "/dev/full"}), 1) << "written in place";
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_EQ(read("a.jsonl"), whole_session().text());
}

}  // namespace
}  // namespace vhostx::test
