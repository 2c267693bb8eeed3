// SPDX-License-Identifier: BSD-3-Clause
// A peer's descriptor of a file whose owner answers when it likes: here a FUSE file system that falls silent.
#include <array>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/file_system.hpp"
#include "protocol/socket_io.hpp"

namespace vhostx::protocol {
namespace {

constexpr std::uint64_t file_node = 2;

/// One file, of two pages; answers until told to be silent.
class SilentFileSystem {
 public:
  SilentFileSystem() : device_(::open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    if (!device_ || ::mkdtemp(folder_.data()) == nullptr) return;
    const std::string options = "fd=" + std::to_string(device_.get()) + ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = ::mount("vhostx-test", folder_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
    if (mounted_) server_ = std::thread([this] { serve(); });
  }
  ~SilentFileSystem() {
    end();
    if (server_.joinable()) server_.join();
    std::filesystem::remove(folder_);
  }
  bool is_there() const { return mounted_; }
  UniqueFd open_file() const { return UniqueFd(::open((folder_ + "/file").c_str(), O_RDWR | O_CLOEXEC)); }
  void fall_silent() { silent_ = true; }
  /// What is waiting for an answer is told that there will be none.
  void end() {
    if (std::exchange(mounted_, false)) ::umount2(folder_.c_str(), MNT_FORCE | MNT_DETACH);
  }
  std::vector<std::uint32_t> unanswered() {
    const std::lock_guard guard(lock_);
    return unanswered_;
  }

 private:
  void serve() {
    std::array<std::byte, FUSE_MIN_READ_BUFFER + 65536> bytes;
    while (::read(device_.get(), bytes.data(), bytes.size()) > 0) {
      fuse_in_header request;
      std::memcpy(&request, bytes.data(), sizeof request);
      if (!silent_) {
        answer(request);
      } else {
        const std::lock_guard guard(lock_);
        unanswered_.push_back(request.opcode);
      }
    }
  }
  void answer(const fuse_in_header& request) const {
    switch (request.opcode) {
      case FUSE_INIT: {
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = 31;
        out.max_write = 4096;
        return reply(request, out);
      }
      case FUSE_LOOKUP: {
        fuse_entry_out out{};
        out.nodeid = file_node;
        out.attr = attributes(file_node);
        return reply(request, out);
      }
      case FUSE_GETATTR: {
        fuse_attr_out out{};
        out.attr = attributes(request.nodeid);
        return reply(request, out);
      }
      default: {  // FUSE_OPEN, and what needs no more than a yes
        return reply(request, fuse_open_out{});
      }
    }
  }
  static fuse_attr attributes(std::uint64_t node) {
    fuse_attr attributes{};
    attributes.ino = node;
    attributes.nlink = 1;
    attributes.mode = node == file_node ? S_IFREG | 0644U : S_IFDIR | 0755U;
    attributes.size = 8192;
    return attributes;
  }
  template <typename T>
  void reply(const fuse_in_header& request, const T& payload) const {
    struct {
      fuse_out_header header;
      T payload;
    } message{{sizeof(fuse_out_header) + sizeof(T), 0, request.unique}, payload};
    [[maybe_unused]] const auto written = ::write(device_.get(), &message, message.header.len);
  }

  UniqueFd device_;
  std::string folder_ = "/tmp/vhostx-slow-XXXXXX";
  bool mounted_ = false;
  std::atomic<bool> silent_ = false;
  std::mutex lock_;
  std::vector<std::uint32_t> unanswered_;
  std::thread server_;
};

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
    return receive(ends[1].get(), into, got, Blocking::no);
  }
  std::array<UniqueFd, 2> ends;
  FdList passing;
};

TEST_F(SlowFiles, AFileWhoseOwnerIsSilentIsNotWaitedFor) {
  SilentFileSystem files;
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
  EXPECT_EQ(closing_aside(), 1U);
  files.end();
  while (closing_aside() != 0) std::this_thread::yield();
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
