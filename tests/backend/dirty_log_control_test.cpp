// SPDX-License-Identifier: BSD-3-Clause
// The dirty log: what a front-end may send, in which order, and what becomes of it.
#include <future>

#include <gtest/gtest.h>

#include "tests/backend/backend_log.hpp"
#include "tests/backend/dirty_log_fixture.hpp"
#include "tests/support/under_tsan.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

struct DirtyLogControl : ::testing::Test, Migration {
  void post(int chains) {
    for (int i = 0; i < chains; ++i) machine.ring(0).driver.chain().writable(200).publish();
  }
  std::uint16_t send(int count = 1) {
    std::uint16_t sent = 0;
    for (int i = 0; i < count; ++i) {
      rte_mbuf* packet = make_packet(test_pool(), pattern(64));
      sent = static_cast<std::uint16_t>(sent + fixture.port->to_guest().enqueue_burst(&packet, 1));
      rte_pktmbuf_free(packet);
    }
    return sent;
  }
};

TEST_F(DirtyLogControl, ABaseIsAnsweredAlsoWhileLogging) {
  begin();
  const LogFile larger(2 * log_bytes);
  EXPECT_EQ(set_log_base(larger), 0U);
  post(1);
  look();
  EXPECT_EQ(send(), 1);
  EXPECT_TRUE(log.take().empty()) << "the first log is used no more";
  EXPECT_TRUE(larger.is_marked(used_address(0)));
}

TEST_F(DirtyLogControl, OnlyLogAllChangesWhileRingsRun) {
  begin();
  auto other = with_log();
  other.clear(VirtioFeature::net_mrg_rxbuf);
  EXPECT_NE(set_features(other), 0U);
  post(1);
  EXPECT_EQ(send(), 1);
}

TEST_F(DirtyLogControl, LogAllNeedsALogWhileRingsRun) {
  EXPECT_NE(set_features(with_log()), 0U);
  begin();
  end();
  EXPECT_NE(set_features(with_log()), 0U) << "the log of before is forgotten";
}

TEST_F(DirtyLogControl, TogglesAThousandTimesUnderTraffic) {
  std::atomic<bool> stop{false};
  post(40);
  auto traffic = std::async(std::launch::async, [&] {
    start_eal();
    while (!stop) {
      rte_mbuf* packet = make_packet(test_pool(), pattern(64));
      fixture.port->to_guest().enqueue_burst(&packet, 1);
      rte_pktmbuf_free(packet);
    }
  });
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(set_log_base(log), 0U);
    EXPECT_EQ(set_features(with_log()), 0U);
    EXPECT_EQ(set_features(machine_features()), 0U);
  }
  stop = true;
  traffic.get();
}

TEST_F(DirtyLogControl, NothingIsWrittenAfterGetVringBase) {
  begin();
  post(4);
  transmit(machine, 4);
  EXPECT_EQ(send(2), 2);
  for (std::uint16_t ring = 0; ring < 2; ++ring) must(machine.front_end().get_vring_base(ring));
  look();
  EXPECT_EQ(send(2), 0);
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 0);
  fixture.port->to_guest().set_notifications(true);
  EXPECT_TRUE(changed().empty());
  EXPECT_TRUE(log.take().empty());
}

// A device that starts while logging is on gets LOG_ALL first, and SET_LOG_BASE after the kicks.
TEST_F(DirtyLogControl, RingsWaitForALogThatComesAfterTheirKicks) {
  begin();
  for (std::uint16_t ring = 0; ring < 2; ++ring) must(machine.front_end().get_vring_base(ring));
  for (std::uint16_t ring = 0; ring < 2; ++ring) fixture.events.until<VringStopped>();
  post(2);
  for (std::uint16_t ring = 0; ring < 2; ++ring) {
    machine.configure_ring(ring);
    EXPECT_EQ(log_ring(ring, true), 0U);
    machine.send_fds(ring);
    machine.kick(ring);
  }
  machine.sync();
  look();
  EXPECT_EQ(send(), 0) << "without a log";
  EXPECT_TRUE(changed().empty());
  EXPECT_EQ(set_log_base(log), 0U);
  for (std::uint16_t ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
  EXPECT_EQ(send(), 1);
  EXPECT_GE(expect_exact("after the log came"), 1U);
}

TEST_F(DirtyLogControl, SignalsWhoAskedForIt) {
  const auto signal = must(EventFd::create());
  auto message = make_request(Request::set_log_fd, true);
  message.add_fd(duplicate(signal.get()));
  EXPECT_EQ(must(machine.front_end().acknowledged(std::move(message))), 0U);
  begin();
  signal.drain();
  post(1);
  EXPECT_EQ(send(), 1);
  EXPECT_TRUE(signalled(signal));
}

TEST_F(DirtyLogControl, MemoryDoesNotOutgrowTheLog) {
  begin();
  FakeGuest more({{memory_at + 4 * region_bytes, region_bytes}});
  const auto d = more.description(0);
  auto add = make_request(Request::add_mem_reg,
                          SingleMemoryRegion{0, {d.guest.value, d.size, d.front_end.value, d.mmap_offset}}, true);
  add.add_fd(more.file(0));
  EXPECT_NE(must(machine.front_end().acknowledged(std::move(add))), 0U);
  EXPECT_EQ(fixture.port->info().memory_regions, 2U) << "nothing has changed";
  const LogFile larger(2 * log_bytes);
  EXPECT_EQ(set_log_base(larger), 0U);
  EXPECT_EQ(fixture.port->info().memory_regions, 2U);
}

/// What the port says when it ends the connection.
struct RefusedLog : DirtyLogControl {
  std::string reason() { return fixture.events.until<FrontEndDisconnected>().reason.message; }
  void offer(std::uint64_t bytes, std::uint64_t offset, int fd) {
    auto message = make_request(Request::set_log_base, LogBase{bytes, offset});
    message.add_fd(duplicate(fd));
    must(machine.front_end().send(message));
  }
};

TEST_F(RefusedLog, TooSmallForTheMemory) {
  begin();
  const LogFile small(log_bytes / 2);
  offer(small.bytes(), 0, small.fd());
  const std::string said = reason();
  EXPECT_NE(said.find("dirty log has 0x4080 bytes, expected 0x8100 or more"), std::string::npos) << said;
}

TEST_F(RefusedLog, LargerThanItsFile) {
  offer(log.bytes(), 4096, log.fd());
  EXPECT_NE(reason().find("its file has"), std::string::npos);
}

TEST_F(RefusedLog, ThatWraps) {
  offer(~std::uint64_t{0} - 100, 4096, log.fd());
  EXPECT_NE(reason().find("SET_LOG_BASE: dirty log"), std::string::npos);
}

TEST_F(RefusedLog, ThatIsNoFile) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read(ends[0]), write(ends[1]);
  offer(4096, 0, read.get());
  EXPECT_NE(reason().find("expected a file or memfd"), std::string::npos);
}

TEST_F(RefusedLog, WhoseFileIsShrunkUnderTraffic) {
  if (under_tsan)
    GTEST_SKIP() << "TSan holds a lock of its own while it sets a bit: the handler of SIGBUS waits for it";
  begin();
  ASSERT_EQ(::ftruncate(log.fd(), 0), 0);
  post(1);
  EXPECT_EQ(send(), 1);
  EXPECT_NE(reason().find("dirty log is lost"), std::string::npos);
}

}  // namespace
}  // namespace vhostx::test
