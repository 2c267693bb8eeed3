// SPDX-License-Identifier: BSD-3-Clause
// SilentFileSystem: a FUSE file system whose owner stops answering.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/unique_fd.hpp"

namespace vhostx::test {

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
  static constexpr std::uint64_t file_node = 2;

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

}  // namespace vhostx::test
