// SPDX-License-Identifier: BSD-3-Clause
// Records, filters and words for features: what was written is read again, and what is damaged is named.
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/probe_events.hpp"
#include "tools/probe/features/feature_words.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/filter.hpp"
#include "tools/probe/session/record.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;

constexpr auto to_back_end = Incoming::front_end_requests;

Event full_event() {
  auto event = message_event(to_back_end, 5, bytes_of(U64{0x0102030405060708}), {memfd(1 << 20), eventfd()});
  event.time = std::chrono::nanoseconds(1'234'567);
  event.connection = 3;
  return event;
}

std::string record_of(std::initializer_list<Event> events) {
  std::string text = line_of(RecordHeader{"2026-01-01T00:00:00Z", "vhostx-probe", "/a", "/b"});
  for (const Event& event : events) text += line_of(event);
  return text;
}

struct Read {
  Result<ReadRecord> record;
  std::vector<Event> events;
};

Read read(const std::string& text) {
  std::vector<Event> events;
  std::istringstream input(text);
  auto record = read_record(input, [&events](Event&& event) { events.push_back(std::move(event)); });
  return {std::move(record), std::move(events)};
}

std::string error_of(const std::string& text) {
  const auto got = read(text);
  return got.record ? "no error" : got.record.error().message;
}

TEST(ProbeRecord, IsReadAsItWasWritten) {
  Event opened;
  opened.kind = EventKind::opened;
  opened.front_end = {12, "qemu-system-x86"};
  Event closed;
  closed.kind = EventKind::closed;
  closed.text = "the front-end left";
  auto cut = message_event(to_back_end, 2, std::vector<std::byte>(3));
  cut.header.size = 8;
  cut.cut_off = true;
  const Event full = full_event();
  const auto [record, events] = read(record_of({opened, full, cut, closed}));
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->header.back_end, "/b");
  EXPECT_EQ(record->events, 4U);
  EXPECT_FALSE(record->cut);
  EXPECT_EQ(events[0].front_end, opened.front_end);
  EXPECT_EQ(events[1].time, full.time);
  EXPECT_EQ(events[1].connection, 3U);
  EXPECT_EQ(events[1].header, full.header);
  EXPECT_EQ(events[1].payload, full.payload);
  EXPECT_EQ(events[1].fds, full.fds);
  EXPECT_TRUE(events[2].cut_off);
  EXPECT_EQ(events[3].text, closed.text);
}

TEST(ProbeRecord, HasWhatWasConcludedForOtherPrograms) {
  Session session;
  auto event = message_event(to_back_end, 2, bytes_of(U64{1}), {}, Header::need_reply);
  const auto object = nlohmann::json::parse(line_of(event, std::make_unique<Decoded>(session.take(event)).get()));
  EXPECT_EQ(object["name"], "SET_FEATURES");
  EXPECT_EQ(object["number"], 1);
  EXPECT_EQ(object["findings"][0]["weight"], "violation");
}

TEST(ProbeRecord, NamesWhatIsWrong) {
  const std::string good = record_of({});
  EXPECT_EQ(error_of(""), "an empty file, expected a record of vhostx-probe");
  EXPECT_NE(error_of("hello\n").find("not a record of vhostx-probe"), std::string::npos);
  EXPECT_NE(error_of("{\"format\":\"vhostx-probe record\",\"version\":2}\n").find("version 2, expected 1"),
            std::string::npos);
  EXPECT_NE(error_of(good + "{\"event\":\"message\"}\n").find("line 2: "), std::string::npos);
  EXPECT_NE(error_of(good + line_of(full_event()) + "[1]\n").find("line 3: not a JSON object"), std::string::npos);
  EXPECT_NE(error_of(good + std::string(record_line_bytes_max + 10, 'x')).find("line 2: longer"), std::string::npos);
  EXPECT_NE(error_of(good + std::string(100'000, '[') + "\n").find("line 2"), std::string::npos);
}

// Every byte of a line, changed or cut off: an error or another event, never a crash.
TEST(ProbeRecord, SurvivesDamage) {
  const std::string header = record_of({});
  const std::string line = line_of(full_event());
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string damaged = line;
    damaged[i] = '7';
    read(header + damaged);
    damaged[i] = '\xff';
    read(header + damaged);
    read(header + line.substr(0, i) + '\n');
  }
}

TEST(ProbeRecord, TablesOfALiveTraceArePassedOver) {
  const std::string live = record_of({full_event()}) + "{\"event\":\"state\",\"connection\":1,\"state\":{}}\n" +
                           "{\"event\":\"rings\",\"rings\":{}}\n" + line_of(full_event());
  const auto [record, events] = read(live);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(events.size(), 2U);
  EXPECT_NE(error_of(live + "{\"event\":\"other\"}\n").find("line 6: "), std::string::npos);
}

TEST(ProbeRecord, ALineThatWasBeingWrittenIsLeftOut) {
  const std::string text = record_of({full_event(), full_event()});
  const auto [record, events] = read(text.substr(0, text.size() - 20));
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->cut);
  EXPECT_EQ(events.size(), 1U);
}

TEST(ProbeRecord, PayloadsAreAsLongAsTheyClaim) {
  auto event = full_event();
  event.header.size = 16;
  EXPECT_NE(error_of(record_of({event})).find("\"payload\" has 8 bytes, expected 16"), std::string::npos);
}

bool shows(const std::string& filter, std::uint32_t request, std::vector<std::byte> payload, std::uint32_t flags = 0) {
  const auto parsed = Filter::parse(filter);
  EXPECT_TRUE(parsed) << parsed.error().message;
  Session session;
  const auto event = message_event(to_back_end, request, std::move(payload), {}, flags);
  return parsed->shows(event, session.take(event));
}

TEST(ProbeFilter, TakesNamesAndVrings) {
  EXPECT_TRUE(shows("SET_VRING_*", 8, bytes_of(VringState{1, 256})));
  EXPECT_TRUE(shows("set_vring_num", 8, bytes_of(VringState{1, 256})));
  EXPECT_FALSE(shows("GET_*", 8, bytes_of(VringState{1, 256})));
  EXPECT_TRUE(shows("GET_*,vring=1", 8, bytes_of(VringState{1, 256})));
  EXPECT_FALSE(shows("vring=0", 8, bytes_of(VringState{1, 256})));
  EXPECT_FALSE(shows("SET_VRING_*,!vring=1", 8, bytes_of(VringState{1, 256})));
  EXPECT_TRUE(shows("!SET_OWNER", 8, bytes_of(VringState{1, 256})));
  EXPECT_FALSE(shows("!SET_OWNER", 3, {}));
  EXPECT_FALSE(shows("findings", 3, {}));
}

TEST(ProbeFilter, NeverHidesAViolation) { EXPECT_TRUE(shows("!SET_OWNER", 3, {}, Header::need_reply)); }

TEST(ProbeFilter, NamesAWrongTerm) {
  EXPECT_FALSE(Filter::parse(""));
  EXPECT_FALSE(Filter::parse("vring=x"));
  const auto wrong = Filter::parse("GET_FEATURES,a;b");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("'a;b'"), std::string::npos) << wrong.error().message;
}

TEST(FeatureWords, AreNamesMasksAndBits) {
  using F = VirtioFeature;
  const FeatureSet begin{F::version_1, F::net_csum};
  const auto parsed = [&begin](const char* text) { return parse_features(text, begin).value(); };
  EXPECT_EQ(parsed("VIRTIO_NET_F_MRG_RXBUF,version_1"), (FeatureSet{F::net_mrg_rxbuf, F::version_1}));
  EXPECT_EQ(parsed("mrg-rxbuf"), FeatureSet{F::net_mrg_rxbuf});
  EXPECT_EQ(parsed("0x100008000"), (FeatureSet{F::net_mrg_rxbuf, F::version_1}));
  EXPECT_EQ(parsed("+mrg_rxbuf"), (FeatureSet{F::net_mrg_rxbuf, F::version_1, F::net_csum}));
  EXPECT_EQ(parsed("-csum"), FeatureSet{F::version_1});
  EXPECT_EQ(parsed("bit=50").bits(), std::uint64_t{1} << 50);
  EXPECT_EQ(parsed("net_mq"), FeatureSet{F::net_mq});
  EXPECT_TRUE(parsed("none").empty());
  EXPECT_FALSE(parsed("all,-ring_packed").has(F::ring_packed));
  EXPECT_EQ(parse_protocol_features("mq,reply_ack", {}).value(),
            (ProtocolFeatureSet{ProtocolFeature::mq, ProtocolFeature::reply_ack}));
}

TEST(FeatureWords, AWrongOneIsToldWhatItIsNearTo) {
  const auto wrong = parse_features("mrg_rxbuff", {});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("'mrg_rxbuff' is not a feature: expected a name such as VIRTIO_NET_F_MRG_RXBUF"),
            std::string::npos)
      << wrong.error().message;
  const auto part = parse_features("packed", {});
  ASSERT_FALSE(part);
  EXPECT_NE(part.error().message.find("VIRTIO_F_RING_PACKED"), std::string::npos) << part.error().message;
  for (const char* text : {"", "0xg", "bit=64", "0x10000000000000000", "csum,,mq"})
    EXPECT_FALSE(parse_features(text, {})) << text;
}

TEST(FdFacts, AreForPeople) {
  EXPECT_EQ(text_of(memfd(256 << 20)), "memfd guest, 256 MiB, pages of 4 KiB, seals shrink grow");
  EXPECT_EQ(text_of(eventfd()), "eventfd");
  EXPECT_EQ(text_of_bytes(1000), "1000 bytes");
  EXPECT_EQ(text_of_bytes(0), "0 bytes");
  EXPECT_EQ(text_of_bytes(std::uint64_t{3} << 30), "3 GiB");
}

}  // namespace
}  // namespace vhostx::test
