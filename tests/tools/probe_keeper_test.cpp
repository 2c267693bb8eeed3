// SPDX-License-Identifier: BSD-3-Clause
// What vhostx-probe keeper says of a bundle's record, whatever is in it.
#include <cstring>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "protocol/features.hpp"
#include "tests/continuity/keeper_fixture.hpp"
#include "tools/probe/keeper/keeper_report.hpp"
#include "virtqueue/inflight_area.hpp"
#include "virtqueue/inflight_store.hpp"

namespace vhostx::tools::probe {
namespace {

using continuity::ClaimHow;
using continuity::KickKind;
using continuity::SessionRecord;
using continuity::SessionState;
using nlohmann::json;

constexpr std::uint64_t needs_enabling = std::uint64_t{1} << 30;  // VHOST_USER_F_PROTOCOL_FEATURES

SessionState two_of_three() {
  SessionState state;
  state.features = needs_enabling | std::uint64_t{1} << 32;
  state.features_set = 1;
  state.regions.resize(2, {{0, 0x1000, 0, 0}, 16, 1});
  state.rings.resize(3,
                     {.size = 256, .base = 7, .kick_kind = KickKind::descriptor, .kick = 17, .call = 18, .enabled = 1});
  state.rings[1].enabled = 0;
  return state;
}

KeptPort port_of(const SessionState& state, bool has_message = false) {
  KeptPort port{{"/tmp/vm0.sock", {1}, true, 0, 0, 0, 1000, 0}, {}, {}, {}};
  port.record = {{3, 8}, state, has_message};
  port.used.resize(state.rings.size());
  return port;
}

json json_of_one(const KeptPort& port) { return json::parse(json_of("k", {port}))["bundles"][0]; }

TEST(KeeperReport, SaysHowManyRingsRun) {
  EXPECT_NE(text_of("k", {port_of(two_of_three())}).find("  2 of 3 run  "), std::string::npos);
  EXPECT_NE(text_of("k", {port_of(two_of_three(), true)}).find("  2 of 3 run, a message in work  "), std::string::npos);
  SessionState state = two_of_three();
  state.features = 0;  // without protocol features a ring needs no enabling
  state.rings[0].kick_kind = KickKind::unarmed;
  state.rings[2].size = 0;
  EXPECT_NE(text_of("k", {port_of(state)}).find("  1 of 3 run  "), std::string::npos);
}

TEST(KeeperReport, SaysWhyItShowsNoRings) {
  KeptPort port{{"vm\x1b[2J", {}, true, 0, 0, 0, 0, 0}, {}, {}, {}};
  EXPECT_NE(text_of("k", {port}).find("  no record  "), std::string::npos);
  EXPECT_TRUE(json_of_one(port)["record"].is_null());
  EXPECT_TRUE(json_of_one(port)["record_problem"].is_null());
  port.problem = "damaged\x1b[2J";
  const auto text = text_of("k", {port});
  EXPECT_NE(text.find("  unreadable  "), std::string::npos);
  EXPECT_NE(text.find("\n\nrings of vm?[2J: damaged?[2J\n"), std::string::npos) << text;
  EXPECT_EQ(json_of_one(port)["record_problem"], port.problem);
}

TEST(KeeperReport, TheJsonHasWhatTheFrontEndHasSetUp) {
  KeptPort port = port_of(two_of_three());
  port.used[2] = 9;
  const json record = json_of_one(port)["record"];
  EXPECT_EQ(record["message_in_work"], false);
  EXPECT_EQ(record["features"]["bits"], "0x140000000");
  EXPECT_TRUE(record["protocol_features"].is_null());
  EXPECT_EQ(record["memory"], json({{"regions", 2}, {"bytes", 0x2000}}));
  ASSERT_EQ(record["rings"].size(), 3U);
  EXPECT_EQ(record["rings"][1], json({{"ring", 1},
                                      {"size", 256},
                                      {"enabled", false},
                                      {"started", true},
                                      {"base", 7},
                                      {"used_index", nullptr},
                                      {"kick", "eventfd"},
                                      {"call", true}}));
  EXPECT_EQ(record["rings"][2]["used_index"], 9);
}

TEST(KeeperReport, AnyNumberInARecordIsShown) {
  SessionState state = two_of_three();
  state.features = state.regions[0].region.size = UINT64_MAX;
  state.rings[0].size = state.rings[0].base = UINT32_MAX;
  state.rings[0].kick_kind = static_cast<KickKind>(4711);
  const json record = json_of_one(port_of(state))["record"];
  EXPECT_EQ(record["rings"][0]["kick"], "unknown");
  EXPECT_EQ(record["memory"]["bytes"], 0xfff);
}

class LookAt : public continuity::KeeperTest {
 protected:
  LookAt() : keeper_(options()), owner_(client()) {
    EXPECT_TRUE(owner_.claim("port", ClaimHow::now).ok());
    EXPECT_TRUE(record_.write(two_of_three()).ok());
    hold(continuity::record_slot, record_.fd());
  }
  void hold(std::uint32_t slot, int fd) {
    ASSERT_TRUE(owner_.hold("port", slot, fd).ok());
    settle(owner_);
  }
  KeptPort look() const {
    auto other = client();
    return look_at(other, other.list().value().at(0));
  }

  continuity::KeeperThread keeper_;
  continuity::KeeperClient owner_;
  SessionRecord record_ = SessionRecord::create({.rings = 3, .regions = 8}).value();
};

TEST_F(LookAt, FindsTheRecord) {
  const KeptPort port = look();
  ASSERT_TRUE(port.record) << port.problem;
  EXPECT_EQ(port.record->state, two_of_three());
  EXPECT_EQ(port.used, (std::vector<std::optional<std::uint16_t>>(3)));
  record_.begin_message();
  EXPECT_TRUE(look().record->has_message);
}

TEST_F(LookAt, FindsTheUsedIndexOfARingThatRuns) {
  namespace at = virtqueue::inflight;
  const auto store = virtqueue::InflightStore::create(3).value();
  hold(continuity::own_inflight_slot, store->fd());
  const auto area = store->area(2, 256).value();
  const std::uint16_t used = 4711;
  std::memcpy(area->region(0) + at::version_at, &at::version, sizeof at::version);
  std::memcpy(area->region(0) + at::used_idx_at, &used, sizeof used);
  EXPECT_EQ(look().used, (std::vector<std::optional<std::uint16_t>>{{}, {}, used}));
  hold(continuity::own_inflight_slot, continuity::memory_file().get());
  EXPECT_EQ(look().used.at(2), std::nullopt);
}

TEST_F(LookAt, SaysWhatIsWrong) {
  const char version = '9';
  ASSERT_EQ(::pwrite(record_.fd(), &version, 1, 7), 1);
  EXPECT_NE(look().problem.find("of another version"), std::string::npos);
  hold(continuity::record_slot, continuity::memory_file().get());
  EXPECT_EQ(look().problem, "slot 1 has no memory file that is sealed against shrinking");
  ASSERT_TRUE(owner_.drop("port", continuity::record_slot).ok());
  settle(owner_);
  EXPECT_EQ(look().problem, "");
  EXPECT_FALSE(look().record);
}

TEST_F(LookAt, ABundleOrAKeeperThatEndsMeanwhileIsSaid) {
  auto other = client();
  const auto bundle = other.list().value().at(0);
  ASSERT_TRUE(owner_.forget("port").ok());
  ASSERT_TRUE(owner_.release("port").ok());
  settle(owner_);
  EXPECT_EQ(look_at(other, bundle).problem, "there is no such bundle");
  keeper_.stop();
  EXPECT_EQ(look_at(other, bundle).problem, "the keeper has ended, or is too old to show records");
}

}  // namespace
}  // namespace vhostx::tools::probe
