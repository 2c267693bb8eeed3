// SPDX-License-Identifier: BSD-3-Clause
// Standard output that is not read, slowly read, or closed.
#include "tools/common/output.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <future>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"

namespace vhostx::tools {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds patience{20'000};

struct OutputTest : testing::Test {
  OutputTest() {
    ::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  std::string read_all(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::size_t done = 0;
    while (done < bytes) {
      const auto count = ::read(reader.get(), text.data() + done, bytes - done);
      if (count <= 0) break;
      done += static_cast<std::size_t>(count);
    }
    text.resize(done);
    return text;
  }

  UniqueFd reader, writer;
};

TEST_F(OutputTest, EverythingComesInOrder) {
  Output output(writer.get(), [] {});
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const auto line = "line " + std::to_string(i) + "\n";
    expected += line;
    output.write(line);
  }
  EXPECT_EQ(read_all(expected.size()), expected);
  EXPECT_EQ(output.drain(patience), 0u);
  EXPECT_TRUE(output.has_room() && !output.lost());
}

TEST_F(OutputTest, NobodyWaitsForAReader) {
  const std::string line(1000, 'x');
  std::size_t lines = 0;
  {
    Output output(writer.get(), [] {});
    for (; output.has_room(); ++lines) output.write(line);
    EXPECT_GT(output.drain(milliseconds(1)), 0u);  // the thread is in write() and stays there
  }
  (void)writer.release();  // the thread that was left behind may use it once more, when `reader` is gone
  EXPECT_GT(lines, Output::bytes_waiting_max / line.size());
}

TEST_F(OutputTest, SaysThatThereIsRoomAgain) {
  std::promise<void> changed;
  std::atomic_flag once;
  Output output(writer.get(), [&] {
    if (!once.test_and_set()) changed.set_value();
  });
  std::size_t bytes = 0;
  for (const std::string line(1000, 'x'); output.has_room(); bytes += line.size()) output.write(line);
  EXPECT_EQ(read_all(bytes).size(), bytes);
  EXPECT_EQ(changed.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_TRUE(output.has_room());
}

TEST_F(OutputTest, SaysThatNobodyReadsAnyMore) {
  std::promise<void> changed;
  Output output(writer.get(), [&] { changed.set_value(); });
  reader.reset();
  output.write("line\n");
  EXPECT_EQ(changed.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_TRUE(output.lost());
  output.write("line\n");
  EXPECT_EQ(output.drain(patience), 0u);
}

}  // namespace
}  // namespace vhostx::tools
