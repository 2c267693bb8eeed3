// SPDX-License-Identifier: BSD-3-Clause
// A peer's descriptor of a file whose owner answers when it likes: here a FUSE file system that falls silent.
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/file_system.hpp"
#include "base/release_pool.hpp"
#include "protocol/socket_io.hpp"
#include "tests/support/silent_files.hpp"

namespace vhostx::protocol {
namespace {

struct SlowFiles : ::testing::Test {
  SlowFiles() {
    std::array<int, 2> both{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both.data()), 0);
    ends[0].reset(both[0]);
    ends[1].reset(both[1]);
  }
  Transfer send_and_receive(UniqueFd fd, FdList& got) {
    constexpr std::array<std::byte, 1> byte{};
    FdList sent;
    sent.add(std::move(fd));
    EXPECT_EQ(transmit(ends[0].get(), byte, sent, Blocking::no).error, 0);
    passing = std::move(sent);  // closing ours waits as well: the sender's matter
    std::array<std::byte, 1> into{};
    return receive(ends[1].get(), into, got, Blocking::no, releases.get());
  }
  ~SlowFiles() override { pool->finish(); }

  std::shared_ptr<ReleasePool> pool = std::make_shared<ReleasePool>();
  std::shared_ptr<Releases> releases = std::make_shared<Releases>(pool);
  std::array<UniqueFd, 2> ends;
  FdList passing;
};

TEST_F(SlowFiles, AFileWhoseOwnerIsSilentIsNotWaitedFor) {
  test::SilentFileSystem files;
  if (!files.is_there()) GTEST_SKIP() << "skipped: no FUSE file system can be mounted here";
  UniqueFd file = files.open_file();
  ASSERT_TRUE(file);
  files.fall_silent();
  FdList got;
  const Transfer transfer = send_and_receive(std::move(file), got);
  EXPECT_TRUE(transfer.fds_slow);
  EXPECT_EQ(transfer.bytes, 1U);
  EXPECT_TRUE(got.empty());
  while (files.unanswered().empty()) std::this_thread::yield();
  EXPECT_EQ(files.unanswered(), std::vector<std::uint32_t>{FUSE_FLUSH});  // close() waits, and nothing else was asked
  EXPECT_EQ(releases->pending(), 1U);
  files.end();
  while (releases->pending() != 0) std::this_thread::yield();
}

TEST_F(SlowFiles, WhatFrontEndsSendIsTaken) {
  const auto taken = [this](int fd) {
    FdList got;
    EXPECT_GE(fd, 0);
    return !send_and_receive(UniqueFd(fd), got).fds_slow && got.size() == 1;
  };
  EXPECT_TRUE(taken(::memfd_create("memory", MFD_CLOEXEC)));
  EXPECT_TRUE(taken(::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  EXPECT_TRUE(taken(::eventfd(0, EFD_CLOEXEC)));
  EXPECT_TRUE(taken(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  EXPECT_TRUE(taken(::open("/dev/null", O_RDWR | O_CLOEXEC)));  // refused where it belongs, with its kind
  std::string path = "/tmp/vhostx-file-XXXXXX";
  EXPECT_TRUE(taken(::mkostemp(path.data(), O_CLOEXEC)));
  std::filesystem::remove(path);
}

TEST(FileSystems, AreLocalOnlyWhenKnownToBe) {
  for (const char* type : {"ext4", "xfs", "btrfs", "overlay", "tmpfs", "hugetlbfs"})
    EXPECT_TRUE(is_local_file_system(type));
  for (const char* type : {"fuse", "fuse.sshfs", "fuseblk", "nfs", "nfs4", "9p", "virtiofs", "cifs", "proc", ""})
    EXPECT_FALSE(is_local_file_system(type)) << type;
}

}  // namespace
}  // namespace vhostx::protocol
