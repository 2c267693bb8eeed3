// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/log_sink.hpp"

#include <array>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "tools/switch/log_level.hpp"

namespace vhostx::tools {
namespace {

/// Standard error is a pipe of four pages meanwhile.
class SmallPipe {
 public:
  SmallPipe() : before_(::dup(STDERR_FILENO)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    end_ = UniqueFd(ends[0]);
    EXPECT_GT(::fcntl(ends[1], F_SETPIPE_SZ, 16384), 0);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
  }
  ~SmallPipe() { ::dup2(before_.get(), STDERR_FILENO); }

  std::string read() {
    std::array<char, 65536> bytes;
    const auto count = ::read(end_.get(), bytes.data(), bytes.size());
    return {bytes.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
  }
  void close() { end_.reset(); }

 private:
  UniqueFd before_, end_;
};

TEST(SwitchLog, WaitsForNoReaderAndSaysWhatWasLost) {
  SmallPipe pipe;
  const std::string line(500, 'x');
  for (int i = 0; i < 100; ++i) log_line(LogLevel::warning, line);
  const std::string first = pipe.read();
  EXPECT_TRUE(first.starts_with("vhostx: warning: xxx"));
  log_line(LogLevel::error, "the next");
  const std::string then = pipe.read();
  EXPECT_NE(then.find(" lines lost: nobody read them\n"), std::string::npos) << then;
  EXPECT_TRUE(then.ends_with("vhostx: error: the next\n")) << then;
}

TEST(SwitchLog, ALineThatIsTooLongIsCut) {
  SmallPipe pipe;
  log_line(LogLevel::warning, std::string(10'000, 'x'));
  const std::string said = pipe.read();
  EXPECT_LE(said.size(), 4096u);
  EXPECT_TRUE(said.ends_with("x\n"));
}

TEST(SwitchLog, LinesBelowTheLevelAreNotWritten) {
  SmallPipe pipe;
  log_line(LogLevel::info, "not yet");
  set_log_level(LogLevel::info);
  log_line(LogLevel::info, "now");
  log_line(LogLevel::debug, "never");
  set_log_level(LogLevel::error);
  log_line(LogLevel::warning, "no more");
  log_line(LogLevel::error, "still");
  set_log_level(LogLevel::warning);
  EXPECT_EQ(pipe.read(), "vhostx: info: now\nvhostx: error: still\n");
}

TEST(LogLevels, HaveNames) {
  for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
    EXPECT_EQ(*parse_log_level(to_string(level)), level);
  for (const char* text : {"", "Info", "warn", "infos", "3"}) {
    const auto parsed = parse_log_level(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find("expected debug, info, warning or error"), std::string::npos);
  }
}

TEST(SwitchLog, MayHaveLostItsReader) {
  SmallPipe pipe;
  pipe.close();
  log_line(LogLevel::warning, "nobody");
}

}  // namespace
}  // namespace vhostx::tools
