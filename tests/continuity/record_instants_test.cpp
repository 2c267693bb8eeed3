// SPDX-License-Identifier: BSD-3-Clause
// A process is killed at every instant at which it writes its record: another one reads the state before, the one
// after, or that a message was in work.
#include <fcntl.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "continuity/session_record.hpp"
#include "tests/support/single_step.hpp"

namespace vhostx::continuity {
namespace {

constexpr RecordLimits instants_limits{.rings = 4, .regions = 3};

/// Each byte that a state has differs from one number to the next.
SessionState numbered_state(std::uint32_t number) {
  SessionState state;
  state.features = state.protocol_features = state.log_bytes = state.log_offset = number * 0x0101'0101'0101'0101;
  state.features_set = state.protocol_features_set = state.status = state.mtu = number * 0x0101'0101;
  state.log = state.log_signal = state.back_end_socket = number * 0x0101'0101;
  const std::uint64_t word = state.features;
  state.regions.resize(1 + number % 3, RegionState{{word, word, word, word}, state.mtu, number});
  RingState ring;
  ring.size = ring.base = ring.kick = ring.call = ring.error = ring.enabled = state.mtu;
  ring.address = {state.mtu, state.mtu, word, word, word, word};
  state.rings.resize(4, ring);
  return state;
}

class RecordInstants : public ::testing::Test {
 protected:
  RecordInstants() {
    EXPECT_TRUE(record_.write(numbered_state(1)));
    EXPECT_TRUE(reader_.read());
  }

  /// What the next process would read now: 1 or 2 for these states, 0 while a message is in work. -1: anything else.
  int seen() const {
    const auto read = reader_.read();
    if (!read) return read.error().message.find("in the midst of a message") != std::string::npos ? 0 : -1;
    if (*read == numbered_state(1)) return 1;
    return *read == numbered_state(2) ? 2 : -1;
  }

  /// What is seen while `action` runs, without repetitions.
  std::vector<int> seen_during(const std::function<void()>& action) {
    std::vector<int> all;
    const auto steps = test::single_step(action, [&] {
      if (const int now = seen(); all.empty() || all.back() != now) all.push_back(now);
    });
    traced_ = steps.has_value();
    EXPECT_GT(steps.value_or(1000), 100U);
    return all;
  }

  SessionRecord record_ = SessionRecord::create(instants_limits).value();
  const SessionRecord reader_ =
      SessionRecord::adopt(UniqueFd(::fcntl(record_.fd(), F_DUPFD_CLOEXEC, 0)), instants_limits).value();
  bool traced_ = false;
};

// Outside of a message: a connection ends, or a log is gone.
TEST_F(RecordInstants, TheStateIsTheOneBeforeOrTheOneAfter) {
  const auto all = seen_during([this] { static_cast<void>(record_.write(numbered_state(2))); });
  if (!traced_) GTEST_SKIP() << "no process may trace another one here";
  EXPECT_EQ(all, (std::vector<int>{1, 2}));
  const auto back = seen_during([this] { static_cast<void>(record_.write(numbered_state(1))); });
  EXPECT_EQ(back, (std::vector<int>{2, 1})) << "the other half";
}

TEST_F(RecordInstants, WhileAMessageIsInWorkThereIsNone) {
  const auto all = seen_during([this] {
    record_.begin_message();
    static_cast<void>(record_.write(numbered_state(2)));
    record_.end_message();
  });
  if (!traced_) GTEST_SKIP() << "no process may trace another one here";
  EXPECT_EQ(all, (std::vector<int>{1, 0, 2}));
}

}  // namespace
}  // namespace vhostx::continuity
