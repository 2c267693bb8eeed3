// SPDX-License-Identifier: BSD-3-Clause
// The page of a record: what is in it, what is folded, and that nothing in a record can get out of its place.
#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probe_report_fixture.hpp"
#include "tools/probe/report/sequence.hpp"

namespace vhostx::test {
namespace {

using Request = FrontEndRequest;

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
  recording.request(Request::set_features, U64{features | 1 << 5});  // not offered, and rings run: 24
  const auto data = gather(recording);
  EXPECT_EQ(data.violation_count, 2U);
  EXPECT_EQ(data.remark_count, 2U);
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

TEST(ProbeReportPage, ShowsTheDirtyLogAndTheDevicesState) {
  Recording recording = whole_session();
  EXPECT_FALSE(contains(page_of(recording), "Dirty log"));
  EXPECT_FALSE(contains(page_of(recording), "log of used ring"));
  const std::uint64_t log_all = std::uint64_t{1} << 26;
  recording.request(Request::set_log_base, LogBase{8 * mib, 4096}, {Recording::memory_file()});
  recording.request(Request::set_features, U64{features | log_all});
  recording.request(Request::set_vring_addr, VringAddress{1, vring_log, base, base + 8192, base + 4096, 0x2000});
  recording.stop_ring(0).stop_ring(1);
  recording.request(Request::set_device_state_fd, DeviceState{0, 0}, {Recording::event_fd()});
  recording.reply(Request::set_device_state_fd, U64{0x100}).request(Request::check_device_state);
  recording.reply(Request::check_device_state, U64{1}).close();
  const std::string page = page_of(recording);
  EXPECT_TRUE(contains(page, "<dt>Dirty log</dt><dd>on, 8 MiB at offset 0x1000 of memfd pc.ram"));
  EXPECT_TRUE(contains(page, "<dt>log of used ring</dt><dd>none</dd>")) << "ring 0";
  EXPECT_TRUE(contains(page, "<dt>log of used ring</dt><dd>guest 0x2000</dd>")) << "ring 1";
  EXPECT_TRUE(contains(page, "<dt>Device state</dt><dd>save phase stopped, failed: 1</dd>"));
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
  EXPECT_EQ(count(page, "<section class=\"connection"), 2U);
  EXPECT_TRUE(contains(page, "<a href=\"#c2-facts\">Connection 2</a>")) << "the table";
  EXPECT_EQ(count(page, "<fieldset"), 0U) << "two need no choice";
  EXPECT_TRUE(contains(page, "id=\"c1-sequence\""));
  EXPECT_TRUE(contains(page, "id=\"c2-sequence\""));
  EXPECT_TRUE(contains(page, "connection 2, event <a href=\"#c2-m3\">3</a>")) << "never answered";
}

TEST(ProbeReportPage, ClosesConnectionsWhereTheyAreMany) {
  Recording recording;
  for (std::uint32_t i = 1; i <= 10; ++i) {
    recording.connection(i).open().negotiate(features, reply_ack);
    if (i > 7) recording.request(Request::set_owner);  // the second time
    if (i != 1) recording.close();
  }
  const std::string page = page_of(recording);
  EXPECT_EQ(count(page, "<tr class=\"c"), 10U);
  EXPECT_EQ(count(page, "<details class=\"fold\"><summary><h2"), 10U) << "closed";
  EXPECT_EQ(count(page, "<b class=\"bad\">✖ 1 violation</b>"), 2U * 3U) << "in the table, and beside the number";
  EXPECT_EQ(count(page, "SET_OWNER for the second time. "), 1U) << "one finding, for three connections";
  EXPECT_TRUE(contains(page, "3 connections: connection 8, message"));
  EXPECT_TRUE(contains(page, "id=\"show-bad\"> with violations: 3"));
  EXPECT_TRUE(contains(page, "id=\"show-open\"> still open at the end: 1"));
  EXPECT_TRUE(contains(page, "id=\"show-ran\" disabled> whose rings were started: 0"));
  EXPECT_TRUE(contains(page, "<a href=\"#c7-facts\">‹ 7</a> <a href=\"#c8-row\">all connections</a>"));
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
/// What stands between each `before` and the next quote.
std::vector<std::string> quoted_after(const std::string& page, const std::string& before) {
  std::vector<std::string> found;
  for (std::size_t at = page.find(before); at != std::string::npos; at = page.find(before, at)) {
    at += before.size();
    found.push_back(page.substr(at, page.find('"', at) - at));
  }
  return found;
}

void expect_links_whole(const std::string& page) {
  const auto all = quoted_after(page, "id=\"");
  const std::multiset<std::string> ids(all.begin(), all.end());
  for (const auto& link : quoted_after(page, "href=\"#")) EXPECT_EQ(ids.count(link), 1U) << link;
  EXPECT_EQ(count(page, "href="), count(page, "href=\"#")) << "a link that leaves the page";
}

TEST(ProbeReportSequence, StaysUsableWithTenThousandMessages) {
  Recording recording = whole_session();
  for (std::uint32_t i = 0; i < 2500; ++i) {
    recording.request(Request::set_vring_call, U64{i % 2}, {Recording::event_fd()});
    recording.request(Request::set_vring_enable, VringState{i % 2, 1});
    recording.request(Request::get_status).reply(Request::get_status, U64{15});
  }
  const auto data = gather(recording);
  const std::string page = html_of(data);
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
  const MemoryTablePayload table{{1, 0}, {region}};
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

}  // namespace
}  // namespace vhostx::test
