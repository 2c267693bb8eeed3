// SPDX-License-Identifier: BSD-3-Clause
// The process that shares this one's memory: it has no descriptor, and ends with this one.
#include "base/memory_holder.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/unique_fd.hpp"
#include "tests/support/emulated_kernel.hpp"

namespace vhostx {
namespace {

/// An emulator of system calls has no filter of them, and ThreadSanitizer no clone() that shares memory.
class MemoryHolderTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_io_setup()) GTEST_SKIP() << test::no_io_setup;
    const auto tried = MemoryHolder::start();
    if (!tried && tried.error().code == ErrorCode::unsupported) GTEST_SKIP() << tried.error().message;
  }
};

UniqueFd process_fd(pid_t pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

/// Whether the process has ended; waits for it.
bool ends(const UniqueFd& process) {
  pollfd end{process.get(), POLLIN, 0};
  return ::poll(&end, 1, 60'000) == 1;
}

TEST_F(MemoryHolderTest, HoldsNoDescriptorOfItsStarter) {
  auto holder = MemoryHolder::start();
  ASSERT_TRUE(holder) << holder.error().message;
  std::vector<std::string> held;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(holder->pid()) + "/fd"))
    held.push_back(std::filesystem::read_symlink(entry));
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[0], "anon_inode:[pidfd]");
  EXPECT_TRUE(held[1].starts_with("pipe:")) << held[1];
}

TEST_F(MemoryHolderTest, EndsWithItsObject) {
  UniqueFd process;
  {
    auto holder = MemoryHolder::start();
    ASSERT_TRUE(holder) << holder.error().message;
    process = process_fd(holder->pid());
    ASSERT_TRUE(process);
  }
  EXPECT_TRUE(ends(process));
  EXPECT_EQ(::waitpid(-1, nullptr, __WALL | WNOHANG), -1) << "a child is left";
}

/// Whoever can write to this process's memory could make the holder execute anything.
TEST_F(MemoryHolderTest, MayDoNothingButWait) {
  auto holder = MemoryHolder::start();
  ASSERT_TRUE(holder) << holder.error().message;
  std::ifstream status("/proc/" + std::to_string(holder->pid()) + "/status");
  const std::string text(std::istreambuf_iterator<char>(status), {});
  EXPECT_NE(text.find("Seccomp:\t2\n"), std::string::npos) << text;
}

TEST_F(MemoryHolderTest, MeetsNobodyWhoWaitsForOwnChildren) {
  auto holder = MemoryHolder::start();
  ASSERT_TRUE(holder) << holder.error().message;
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

/// A child that has a holder, whose process id it says, and then does as it is told.
class Starter {
 public:
  explicit Starter(void (*then)()) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    UniqueFd theirs(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      const auto holder = MemoryHolder::start();
      const pid_t pid = holder ? holder->pid() : 0;
      if (::write(theirs.get(), &pid, sizeof pid) != sizeof pid) ::_exit(1);
      then();
      ::_exit(1);
    }
    theirs.reset();
    pid_t holder = 0;
    EXPECT_EQ(::read(ours_.get(), &holder, sizeof holder), static_cast<ssize_t>(sizeof holder));
    EXPECT_NE(holder, 0);
    holder_ = process_fd(holder);
  }
  ~Starter() {
    kill();
    EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
  }
  Starter(const Starter&) = delete;
  Starter& operator=(const Starter&) = delete;

  void kill() const { ::kill(pid_, SIGKILL); }
  const UniqueFd& holder() const { return holder_; }
  /// Its connection ends.
  bool hangs_up() const {
    char none = 0;
    return ::read(ours_.get(), &none, 1) == 0;
  }

 private:
  UniqueFd ours_;
  UniqueFd holder_;
  pid_t pid_ = 0;
};

/// Its connection ends with it, and then the holder.
TEST_F(MemoryHolderTest, EndsAfterAProcessThatIsKilled) {
  const Starter starter([] {
    while (true) ::pause();
  });
  starter.kill();
  EXPECT_TRUE(starter.hangs_up());
  EXPECT_TRUE(ends(starter.holder()));
}

/// The memory of the program before is nobody's then.
TEST_F(MemoryHolderTest, EndsWhenAnotherProgramIsExecuted) {
  const Starter starter([] { ::execlp("sleep", "sleep", "infinity", static_cast<char*>(nullptr)); });
  EXPECT_TRUE(ends(starter.holder()));
}

}  // namespace
}  // namespace vhostx
