// SPDX-License-Identifier: BSD-3-Clause
// What is concluded from the messages of a guest that migrates: the dirty log, and the device's state.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/tools/probe_session_fixture.hpp"
#include "tools/probe/session/state_text.hpp"

namespace vhostx::test {
namespace {

constexpr FeatureSet usual{VirtioFeature::version_1, VirtioFeature::vhost_user_protocol_features};

class ProbeMigration : public ProbeSession {
 protected:
  void start(ProtocolFeatureSet protocol = {ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots,
                                            ProtocolFeature::log_shmfd, ProtocolFeature::device_state}) {
    request(Request::set_protocol_features, U64{protocol.bits()});
    request(Request::set_features, U64{usual.bits()});
    add_region();
    configure_ring();
    kick();
  }
  Decoded kick() { return request(Request::set_vring_kick, U64{0}, {eventfd()}); }
  Decoded set_features(FeatureSet features) { return request(Request::set_features, U64{features.bits()}); }
  Decoded log_all() { return set_features(usual | FeatureSet{VirtioFeature::vhost_log_all}); }
  Decoded log_base(std::uint64_t size = 4096, std::uint64_t offset = 0, std::uint64_t file_bytes = 4096) {
    Decoded sent = request(Request::set_log_base, LogBase{size, offset}, {memfd(file_bytes)});
    reply(Request::set_log_base, U64{0});
    return sent;
  }
  Decoded log_ring(std::uint64_t at) {
    return request(Request::set_vring_addr, VringAddress{0, vring_log, 0x7000'0000, 0x7000'2000, 0x7000'1000, at});
  }
  void stop() {
    request(Request::get_vring_base, VringState{0, 0});
    reply(Request::get_vring_base, VringState{0, 7});
  }
  Decoded transfer(std::uint32_t direction, std::uint32_t phase = 0) {
    return request(Request::set_device_state_fd, DeviceState{direction, phase}, {pipe_fd()});
  }
  Decoded answer(std::uint64_t value, std::vector<FdFacts> fds = {}) {
    return reply(Request::set_device_state_fd, U64{value}, std::move(fds));
  }
  Decoded check(std::uint64_t result) {
    request(Request::check_device_state);
    return reply(Request::check_device_state, U64{result});
  }
  std::string text() const { return text_of(session.state(), {}, {}); }
  nlohmann::json json() const { return nlohmann::json::parse(json_of(session.state(), {})); }
};

#define EXPECT_SHOWS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(ProbeMigration, ShowsTheLogOfRunningRings) {
  start();
  EXPECT_EQ(text().find("log"), std::string::npos) << text();
  EXPECT_TRUE(json()["log"].is_null());
  EXPECT_QUIET(log_base());
  EXPECT_SHOWS(text(), "  dirty log: off, 4 KiB at offset 0x0 of memfd guest, 4 KiB");
  EXPECT_QUIET(log_all());
  EXPECT_SHOWS(text(), "  dirty log: on, 4 KiB");
  EXPECT_SHOWS(text(), ": guest memory up to 128 MiB\n");
  EXPECT_SHOWS(text(), "used ring not logged");
  EXPECT_QUIET(log_ring(0x3000));
  EXPECT_SHOWS(text(), "used ring logged at guest address 0x3000");
  request(Request::set_log_fd, Nothing{}, {eventfd()});
  EXPECT_SHOWS(text(), "; SET_LOG_FD");
  EXPECT_EQ(json()["log"]["on"], true);
  EXPECT_EQ(json()["log"]["size"], 4096);
  EXPECT_EQ(json()["log"]["signal"], true);
  EXPECT_EQ(json()["vrings"][0]["log"], 0x3000);
  EXPECT_QUIET(set_features(usual));
  EXPECT_SHOWS(text(), "  dirty log: off");
}

TEST_F(ProbeMigration, FindsLogsThatCannotBe) {
  start();
  EXPECT_SAYS(log_base(0), "a log of 0 bytes");
  EXPECT_SAYS(log_base(8192), "the log ends 4096 bytes past the end of its file, which has 4096");
  EXPECT_SAYS(log_base(8192, ~std::uint64_t{0} - 4095), "the log goes beyond the last offset");
  EXPECT_SAYS(request(Request::set_log_base, LogBase{4096, 0}, {pipe_fd()}), "lies in a pipe");
}

TEST_F(ProbeMigration, FindsALogThatIsTooSmall) {
  start();
  add_region({0x100'0000, 0x10000, 0x8000'0000, 0}, 0x10000);  // its end, 0x101'0000, is 4112 pages from 0
  EXPECT_SAYS(log_base(513),
              "the log is too small: memory ends at 0x1010000, the log's last bit is of the page at "
              "0x1007000");
  EXPECT_QUIET(log_base(514));
}

TEST_F(ProbeMigration, FindsLoggingWithoutALog) {
  start();
  EXPECT_SAYS(log_all(), "VHOST_F_LOG_ALL before SET_LOG_BASE, while vring 0 is started");
  EXPECT_SHOWS(text(), "  dirty log: on, no SET_LOG_BASE");
  EXPECT_TRUE(json()["log"]["size"].is_null());
  stop();
  EXPECT_SAYS(kick(), "vring 0 starts with VHOST_F_LOG_ALL before SET_LOG_BASE");
}

TEST_F(ProbeMigration, FindsOtherFeaturesThatChangeWhileRingsRun) {
  start();
  log_base();
  EXPECT_SAYS(set_features(usual | FeatureSet{VirtioFeature::vhost_log_all, VirtioFeature::event_idx}),
              "VIRTIO_F_EVENT_IDX changed while vring 0 is started");
  stop();
  EXPECT_QUIET(set_features(usual));
}

TEST_F(ProbeMigration, FindsALogOfARingOutsideMemory) {
  start();
  log_base();
  log_all();
  EXPECT_SAYS(log_ring(0x7000'2000),
              "the used ring of vring 0 is logged at 0x70002000, which is no guest address of a region");
}

TEST_F(ProbeMigration, ShowsWhatMovesWithTheGuest) {
  start();
  stop();
  EXPECT_QUIET(transfer(0));
  EXPECT_SHOWS(text(), "  device state: save phase stopped, not answered yet\n");
  EXPECT_QUIET(answer(0x100));
  EXPECT_SHOWS(text(), "  device state: save phase stopped, not checked yet\n");
  EXPECT_QUIET(check(0));
  EXPECT_SHOWS(text(), "  device state: save phase stopped, success\n");
  EXPECT_QUIET(transfer(1));
  EXPECT_QUIET(answer(0, {memfd(0)}));
  EXPECT_SAYS(check(1), "the back-end says that the load failed: 1");
  EXPECT_SHOWS(text(), "  device state: load phase stopped, failed: 1\n");
  EXPECT_EQ(json()["device_state"]["direction"], 1);
  EXPECT_EQ(json()["device_state"]["result"], 1);
}

TEST_F(ProbeMigration, FindsTransfersThatCannotBe) {
  start();
  EXPECT_SAYS(check(0), "no state was transferred before");
  EXPECT_SAYS(transfer(0), "vring 0 is started, expected all rings stopped");
  stop();
  EXPECT_SAYS(transfer(2), "direction 2, expected 0 (save) or 1 (load)");
  EXPECT_SAYS(transfer(0, 1), "phase 1, expected 0 (stopped)");
  answer(0x100);
  answer(0x100);
  answer(0x100);
  transfer(0);
  EXPECT_SAYS(answer(0), "0 descriptors with the reply 0x0, expected 1");
  transfer(1);
  EXPECT_SAYS(answer(0x100, {memfd(0)}), "1 descriptors with the reply 0x100, expected 0");
  transfer(1);
  EXPECT_SAYS(answer(0x101), "the back-end does not load a state: error 1");
  EXPECT_SHOWS(text(), "refused with error 1");
}

}  // namespace
}  // namespace vhostx::test
