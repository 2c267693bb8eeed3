// SPDX-License-Identifier: BSD-3-Clause
// RingWatch: what a relay tells it, which files it keeps, what it calls stuck; and the rows as text and JSON.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/tools/probe_ring_file.hpp"
#include "tools/probe/rings/ring_table.hpp"
#include "tools/probe/rings/ring_watch.hpp"
#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;
using namespace std::chrono_literals;
using Request = FrontEndRequest;

/// A front-end's messages, as a relay would see them.
class Relayed {
 public:
  explicit Relayed(RingWatchOptions options = {}) : watch(options) {}

  void see(const Message& message, const std::vector<int>& fds = {}, std::uint32_t connection = 1,
           Incoming way = Incoming::front_end_requests) {
    Event event;
    event.connection = connection;
    event.way = way;
    event.header = message.header();
    event.payload.assign(message.payload().begin(), message.payload().end());
    std::vector<UniqueFd> copies;
    for (const int fd : fds) {
      event.fds.push_back(look_at_fd(fd));
      copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    }
    const Decoded decoded = sessions[connection].take(event);
    watch.take(event, decoded, sessions[connection].state(), std::move(copies));
  }
  void close(std::uint32_t connection = 1) {
    Event event;
    event.kind = EventKind::closed;
    event.connection = connection;
    const Decoded decoded = sessions[connection].take(event);
    watch.take(event, decoded, sessions[connection].state(), {});
  }

  void features(FeatureSet features) { see(make_request(Request::set_features, U64{features.bits()})); }
  void memory(const RingFile& file) {
    const MemoryRegion region{0, RingFile::bytes, ring_file_address, 0};
    see(make_memory_table(std::span(&region, 1)), {file.fd()});
  }
  void ring(std::uint32_t index, const RingFile& file, bool enabled = true) {
    const auto at = file.addresses();
    see(make_request(Request::set_vring_num, VringState{index, file.size()}));
    see(make_request(Request::set_vring_addr, VringAddress{index, 0, at.descriptor, at.used, at.available, 0}));
    see(make_request(Request::set_vring_kick, U64{index | vring_no_fd}));
    see(make_request(Request::set_vring_enable, VringState{index, enabled}));
  }
  RingRow row(ProbeTime now, std::size_t index = 0) { return watch.sample(now).at(index); }

  std::map<std::uint32_t, Session> sessions;
  RingWatch watch;
};

const FeatureSet modern{VirtioFeature::version_1, VirtioFeature::vhost_user_protocol_features};

/// A relay that has seen transmit ring 1 start.
class Started : public Relayed {
 public:
  explicit Started(const RingFile& file, RingWatchOptions options = {}, std::uint32_t index = 1) : Relayed(options) {
    features(modern);
    memory(file);
    ring(index, file);
  }
};

TEST(RingWatch, FollowsASession) {
  RingFile file;
  file.available(20).used(8);
  Relayed relayed;
  relayed.features(modern);
  relayed.see(make_request(Request::set_vring_num, VringState{1, 256}));
  EXPECT_EQ(relayed.row(1s).sample.problem, "not set up");
  relayed.memory(file);
  relayed.ring(1, file, false);
  auto row = relayed.row(2s);
  EXPECT_EQ(row.connection, 1U);
  EXPECT_EQ(row.ring, 1U);
  EXPECT_FALSE(row.receive);
  EXPECT_EQ(row.size, 256U);
  EXPECT_TRUE(row.started);
  EXPECT_FALSE(row.enabled);
  EXPECT_EQ(row.sample.in_flight, 12U);
  relayed.see(make_request(Request::set_vring_enable, VringState{1, 1}));
  EXPECT_TRUE(relayed.row(3s).enabled);
  relayed.see(make_request(Request::get_vring_base, VringState{1, 0}));
  relayed.see(make_reply(Header{11, 1, 8}, VringState{1, 8}), {}, 1, Incoming::replies_to_front_end);
  EXPECT_FALSE(relayed.row(4s).started);
}

TEST(RingWatch, ReadsByGuestAddressesWhereTheyWereAgreedOn) {
  RingFile file;
  file.available(2);
  Relayed relayed;
  relayed.features(modern);
  relayed.see(
      make_request(Request::set_protocol_features, U64{ProtocolFeatureSet{ProtocolFeature::gpa_addresses}.bits()}));
  const MemoryRegion region{ring_file_address, RingFile::bytes, 0, 0};
  relayed.see(make_memory_table(std::span(&region, 1)), {file.fd()});
  relayed.ring(1, file);
  EXPECT_EQ(relayed.row(1s).sample.in_flight, 2U);
}

TEST(RingWatch, TranslatesNoIoAddresses) {
  RingFile file;
  Started relayed(file);
  relayed.features(FeatureSet(modern).set(VirtioFeature::iommu_platform));
  EXPECT_NE(relayed.row(1s).sample.problem.find("IOMMU_PLATFORM"), std::string::npos);
}

TEST(RingWatch, KeepsTheFilesOfItsRegionsAndNoOthers) {
  RingFile first, second;
  second.available(7);
  const auto before = open_fds();
  {
    Relayed relayed;
    relayed.features(modern);
    relayed.see(make_request(Request::set_vring_call, U64{1}), {first.fd()});
    EXPECT_EQ(open_fds(), before) << "it is no memory";
    relayed.memory(first);
    EXPECT_EQ(open_fds(), before + 1);
    relayed.ring(1, first);
    EXPECT_EQ(relayed.row(1s).sample.in_flight, 0U);
    relayed.memory(second);
    EXPECT_EQ(open_fds(), before + 1) << "the first one's was closed";
    EXPECT_EQ(relayed.row(2s).sample.in_flight, 7U);
    const MemoryRegion more{0x1000'0000, RingFile::bytes, 0x1000'0000, 0};
    relayed.see(make_request(Request::add_mem_reg, SingleMemoryRegion{0, more}), {first.fd()});
    EXPECT_EQ(open_fds(), before + 2);
    relayed.see(make_request(Request::rem_mem_reg, SingleMemoryRegion{0, more}));
    EXPECT_EQ(open_fds(), before + 1);
    relayed.memory(first);
    relayed.close();
    EXPECT_EQ(open_fds(), before);
    EXPECT_TRUE(relayed.watch.sample(3s).empty());
    relayed.memory(first);
  }
  EXPECT_EQ(open_fds(), before) << "with the watch itself";
}

TEST(RingWatch, HasARegionThatCameWithoutAFile) {
  Relayed relayed;
  RingFile file;
  const MemoryRegion region{0, RingFile::bytes, ring_file_address, 0};
  relayed.features(modern);
  relayed.see(make_memory_table(std::span(&region, 1)));
  relayed.ring(1, file);
  EXPECT_FALSE(relayed.row(1s).sample.ok());
  EXPECT_EQ(relayed.watch.facts().at(0).regions.size(), 0U) << "the session refused the message";
}

TEST(RingWatch, CallsATransmitRingStuck) {
  RingFile file;
  Started relayed(file);
  EXPECT_FALSE(relayed.row(1s).stuck_for);
  file.available(3);
  EXPECT_FALSE(relayed.row(2s).stuck_for);
  EXPECT_FALSE(relayed.row(3900ms).stuck_for);
  const auto row = relayed.row(4s);
  EXPECT_EQ(row.stuck_for, 2s);
  EXPECT_EQ(row.notes.at(0), "stuck: avail has moved, used has not for 2.0 s");
  file.used(1);
  EXPECT_FALSE(relayed.row(5s).stuck_for) << "slow, not stuck";
  EXPECT_TRUE(relayed.row(7s).stuck_for);
  relayed.see(make_request(Request::set_vring_enable, VringState{1, 0}));
  EXPECT_FALSE(relayed.row(8s).stuck_for) << "it need not go on";
  relayed.see(make_request(Request::set_vring_enable, VringState{1, 1}));
  EXPECT_FALSE(relayed.row(9s).stuck_for) << "it may go on since now";
  EXPECT_TRUE(relayed.row(11s).stuck_for);
  file.used(3);
  EXPECT_FALSE(relayed.row(20s).stuck_for) << "there is nothing to do";
}

TEST(RingWatch, TakesTheTimeOfStuckFromItsOptions) {
  RingFile file;
  Started relayed(file, {500ms, false});
  file.available(1);
  relayed.watch.look(1s);
  EXPECT_FALSE(relayed.row(1400ms).stuck_for);
  EXPECT_TRUE(relayed.row(1500ms).stuck_for);
}

TEST(RingWatch, LetsReceiveRingsWait) {
  RingFile file;
  Started relayed(file, {}, 0);
  EXPECT_EQ(relayed.row(0s).notes.at(0), "the driver has given it no buffers");
  file.available(256);
  relayed.watch.look(1s);
  EXPECT_TRUE(relayed.row(9s).receive);
  EXPECT_TRUE(relayed.row(9s).notes.empty()) << "nothing came for the guest";
  Started strict(file, {2s, true}, 0);
  strict.watch.look(1s);
  EXPECT_TRUE(strict.row(9s).stuck_for);
}

TEST(RingWatch, BeginsAnewWithARingThatWasMoved) {
  RingFile file;
  file.available(9);
  Started relayed(file);
  relayed.watch.look(1s);
  EXPECT_TRUE(relayed.row(3s).stuck_for);
  relayed.see(make_request(Request::set_vring_num, VringState{1, 128}));
  EXPECT_FALSE(relayed.row(4s).stuck_for);
}

TEST(RingWatch, CountsPacketsAndNotifications) {
  RingFile file;
  Started relayed(file);
  EXPECT_FALSE(relayed.row(0s).rates.kicks);
  relayed.watch.count(1, 1, 1, 1);
  relayed.watch.count(7, 1, 1, 1);  // nobody
  relayed.row(1s);
  for (std::uint16_t i = 1; i <= 4; ++i) {
    file.available(static_cast<std::uint16_t>(i * 30000)).used(static_cast<std::uint16_t>(i * 30000));
    relayed.watch.look(1s + i * 100ms);
  }
  relayed.watch.count(1, 1, 10, 20);
  const auto rates = relayed.row(2s).rates;
  EXPECT_DOUBLE_EQ(rates.used.value(), 120000.0) << "over one wrap and more";
  EXPECT_DOUBLE_EQ(rates.kicks.value(), 10.0);
  EXPECT_DOUBLE_EQ(rates.calls.value(), 20.0);
  EXPECT_EQ(relayed.watch.facts().at(0).rings.at(0).counts, (RingCounts{11, 21}));
}

TEST(RingWatch, GoesOnWhenTheFileIsTruncated) {
  RingFile file;
  Started relayed(file);
  relayed.watch.look(1s);
  ASSERT_EQ(::ftruncate(file.fd(), 0), 0);
  relayed.watch.look(2s);
  EXPECT_FALSE(relayed.row(3s).sample.ok());
  EXPECT_FALSE(relayed.row(3s).stuck_for);
}

TEST(RingWatch, KeepsConnectionsApart) {
  RingFile a, b;
  a.available(1);
  b.available(2);
  RingWatch watch;
  for (const std::uint32_t number : {2U, 1U}) {
    ConnectionFacts facts;
    facts.connection = number;
    facts.rings = {{1, 256, a.addresses(), true, true, {}, {}, {}}};
    watch.set(facts, std::make_shared<RegionMemory>((number == 1 ? a : b).memory()));
  }
  const auto rows = watch.sample(1s);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].sample.in_flight, 1U);
  EXPECT_EQ(rows[1].sample.in_flight, 2U);
  watch.keep_only({2});
  EXPECT_EQ(watch.sample(2s).at(0).connection, 2U);
}

/// A log of so many bytes in which these pages are marked.
class LogFile {
 public:
  LogFile() : file_(::memfd_create("log", MFD_CLOEXEC)) { EXPECT_EQ(::ftruncate(file_.get(), 2 * bytes), 0); }
  void mark(std::uint8_t byte, off_t at) { EXPECT_EQ(::pwrite(file_.get(), &byte, 1, at), 1); }
  int fd() const { return file_.get(); }
  static constexpr std::uint64_t bytes = 20000;

 private:
  UniqueFd file_;
};

TEST(RingWatch, CountsMarkedPages) {
  RingFile file;
  LogFile log;
  log.mark(0xff, 4095);  // before the log
  log.mark(3, 4096);
  log.mark(0x80, 4096 + LogFile::bytes - 1);
  log.mark(0xff, 4096 + LogFile::bytes);  // behind it
  Started relayed(file);
  EXPECT_TRUE(relayed.watch.logs().empty());
  const auto at = file.addresses();
  relayed.features(FeatureSet(modern).set(VirtioFeature::vhost_log_all));
  ASSERT_EQ(relayed.watch.logs().size(), 1U);
  EXPECT_EQ(text_of(relayed.watch.logs()[0]), "on");
  relayed.see(make_request(Request::set_log_base, LogBase{LogFile::bytes, 4096}), {log.fd()});
  relayed.see(
      make_request(Request::set_vring_addr, VringAddress{1, vring_log, at.descriptor, at.used, at.available, 0x3000}));
  const auto logs = relayed.watch.logs();
  ASSERT_EQ(logs.size(), 1U);
  EXPECT_EQ(logs[0].marked_pages, 3U);
  EXPECT_EQ(text_of(logs[0]), "on, 20000 bytes at offset 0x1000, 3 pages marked");
  const auto rows = relayed.watch.sample(1s);
  const std::string text = text_of_rings(rows, {}, logs);
  EXPECT_NE(text.find("connection 1\ndirty log: on, 20000 bytes"), std::string::npos) << text;
  EXPECT_NE(text.find("runs, logged\n"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(json_of_rings(rows, "", 1s, {}, logs));
  EXPECT_EQ(json["logs"][0]["marked_pages"], 3);
  EXPECT_EQ(json["rings"][0]["logged_at"], 0x3000);
}

TEST(RingWatch, KeepsTheLastLogsFile) {
  RingFile file;
  const LogFile first, second;
  Started relayed(file);
  const auto before = open_fds();
  relayed.see(make_request(Request::set_log_base, LogBase{LogFile::bytes, 0}), {first.fd()});
  EXPECT_EQ(open_fds(), before + 1);
  relayed.see(make_request(Request::set_log_base, LogBase{LogFile::bytes, 0}), {second.fd()});
  EXPECT_EQ(open_fds(), before + 1);
  ASSERT_EQ(relayed.watch.logs().size(), 1U);
  EXPECT_FALSE(relayed.watch.logs()[0].on);
  EXPECT_EQ(relayed.watch.logs()[0].marked_pages, 0U);
  ASSERT_EQ(::ftruncate(second.fd(), 0), 0);
  EXPECT_EQ(text_of(relayed.watch.logs()[0]), "off, 20000 bytes at offset 0x0, which cannot be read");
  relayed.close();
  EXPECT_LE(open_fds(), before);
}

TEST(RingTable, IsTextAndJson) {
  EXPECT_EQ(text_of_rings({}), "no rings\n");
  RingFile file;
  file.available(300).used(10).used_event(10);
  Started relayed(file);
  relayed.watch.look(0s);
  auto rows = relayed.watch.sample(4s);
  rows[0].name = "evil\x1b[2J";
  const std::string text = text_of_rings(rows);
  EXPECT_NE(text.find("connection 1: evil?[2J\n"), std::string::npos) << text;
  EXPECT_NE(text.find("   1 tx    256    300     10        290"), std::string::npos) << text;
  EXPECT_NE(text.find("290 in flight, more than the ring's 256"), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << "colours only if asked for";
  EXPECT_NE(text_of_rings(rows, {true}).find(TextStyle{true}.violation()), std::string::npos);
  const std::string line = json_of_rings(rows, "me (1)", 4s);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto ring = nlohmann::json::parse(line)["rings"][0];
  EXPECT_EQ(ring["in_flight"], 290);
  EXPECT_EQ(ring["split"]["available_index"], 300);
  EXPECT_TRUE(ring["split"]["used_event"].is_null());
  EXPECT_TRUE(ring["packed"].is_null());
  EXPECT_EQ(ring["stuck_s"], 4.0);
  EXPECT_TRUE(ring["kicks_per_s"].is_null());
  EXPECT_EQ(ring["direction"], "transmit");
}

/// A packed ring that goes round while nobody looks, and a driver and a device that move whenever the clock is read.
TEST(RingWatch, LooksAtPackedRingsClosely) {
  RingFile file(8);
  Started relayed(file);
  relayed.features(FeatureSet(modern).set(VirtioFeature::ring_packed));
  std::uint32_t moves = 0;
  const auto clock = [&] {  // a descriptor a microsecond
    file.packed(moves % 8, moves / 8 % 2 == 0, moves / 8 % 2 == 0);
    return 1s + std::chrono::microseconds(++moves);
  };
  relayed.watch.sample(1s);
  relayed.watch.look_closely(clock);
  const RingRow row = relayed.row(2s);
  EXPECT_EQ(row.rates.by, RatesBy::moments);
  EXPECT_NEAR(row.rates.used.value(), 1e6, 1e-3);
  EXPECT_NE(text_of_rings({row}).find("~1000000"), std::string::npos);
}

TEST(RingTable, HasPackedRingsAndThoseThatCannotBeRead) {
  RingFile file(8);
  Started relayed(file);
  relayed.features(FeatureSet(modern).set(VirtioFeature::ring_packed));
  file.packed(0, true, true).packed(1, true, false);  // perhaps of the chain that was used
  auto rows = relayed.watch.sample(1s);
  EXPECT_NE(text_of_rings(rows).find("<=1"), std::string::npos) << text_of_rings(rows);
  auto ring = nlohmann::json::parse(json_of_rings(rows, "", 1s))["rings"][0];
  EXPECT_EQ(ring["layout"], "packed");
  EXPECT_EQ(ring["packed"]["next_available"], 2);
  EXPECT_EQ(ring["rates_by"], "positions");
  EXPECT_FALSE(ring["in_flight_exact"].get<bool>());
  ASSERT_EQ(::ftruncate(file.fd(), 0), 0);
  rows = relayed.watch.sample(2s);
  EXPECT_NE(text_of_rings(rows).find("cannot be read"), std::string::npos);
  ring = nlohmann::json::parse(json_of_rings(rows, "", 2s))["rings"][0];
  EXPECT_TRUE(ring["in_flight"].is_null());
  EXPECT_TRUE(ring["problem"].is_string());
}

}  // namespace
}  // namespace vhostx::test
