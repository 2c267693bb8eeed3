// SPDX-License-Identifier: BSD-3-Clause
// Checks of vhostx-probe about a guest that migrates, on a port of this library whose guest's state moves.
#include <array>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "tests/backend/port_fixture.hpp"
#include "tests/support/eal.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/runner.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;

/// An application that returns what a guest sends, and has bytes of its guest.
class Returning {
 public:
  explicit Returning(bool state_moves)
      : fixture_([state_moves](PortOptions& options) {
          if (state_moves) set(options);
        }) {
    thread_ = std::thread([this] { run(); });
  }
  Returning(const Returning&) = delete;
  Returning& operator=(const Returning&) = delete;
  ~Returning() {
    ends_ = true;
    thread_.join();
  }

  Subject subject() const {
    Subject subject{.path = fixture_.options.socket_path, .timeout = std::chrono::seconds(60)};
    must(explore(subject, true));
    subject.loops = true;
    return subject;
  }

 private:
  static void set(PortOptions& options) {
    options.migrate_stats = true;
    options.save_state = [] { return std::vector<std::byte>(100000, std::byte{7}); };
    options.load_state = [](std::span<const std::byte> state) -> Result<void> {
      EXPECT_EQ(state.size(), 100000U);
      return {};
    };
  }
  void run() {
    std::array<rte_mbuf*, 32> packets;
    while (!ends_) {
      const auto count = fixture_.port->vring(1).dequeue_burst(test_pool(), packets.data(), packets.size());
      fixture_.port->vring(0).enqueue_burst(packets.data(), count);
      rte_pktmbuf_free_bulk(packets.data(), count);
      std::this_thread::yield();
    }
  }

  PortFixture fixture_;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

bool is_about_migration(const Check& check) {
  return check.group() == "log" || check.group() == "state" || check.id.find(".log-") != std::string::npos ||
         check.id.find("state") != std::string::npos;
}

TEST(ProbeChecksOfAPort, PassWhereTheGuestsStateMoves) {
  const Returning application(true);
  const Subject subject = application.subject();
  EXPECT_TRUE(subject.protocol.has(protocol::ProtocolFeature::device_state));
  unsigned passed = 0;
  for (const Check& check : all_checks()) {
    if (!is_about_migration(check)) continue;
    const Verdict verdict = run_check(check, subject);
    EXPECT_EQ(verdict.outcome, Outcome::passed) << check.id << ": " << verdict.seen;
    ++passed;
  }
  EXPECT_GE(passed, 25U);
}

TEST(ProbeChecksOfAPort, DoNotApplyWhereItDoesNot) {
  const Returning application(false);
  const Subject subject = application.subject();
  for (const Check& check : all_checks()) {
    if (check.group() != "state") continue;
    const Verdict verdict = run_check(check, subject);
    EXPECT_EQ(verdict.outcome, Outcome::not_applicable) << check.id;
    EXPECT_EQ(verdict.seen, "DEVICE_STATE: not offered") << check.id;
  }
}

}  // namespace
}  // namespace vhostx::test
