// SPDX-License-Identifier: BSD-3-Clause
// Under a memory limit: pages of sparse files that we are made to touch. Each test is a child in a control group of its
// own; the kernel ends one that goes over the limit.
#include "memory/first_touch.hpp"

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "memory/bus_errors.hpp"
#include "memory/mapped_region.hpp"
#include "tests/support/emulated_kernel.hpp"

/// In builds for tests/coverage: what this process has reached. It is otherwise written by exit().
extern "C" [[gnu::weak]] int __llvm_profile_write_file();

namespace vhostx::memory {
namespace {

constexpr std::uint64_t limit_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t page = 4096;

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// Of this process: "ID:controllers:path".
std::string own_path(const std::string& controllers) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (const auto at = line.find(":" + controllers + ":"); at != line.npos)
      return line.substr(at + controllers.size() + 2);
  return {};
}

/// A control group with a limit, of version 1 or 2; empty folder: none can be made.
class Group {
 public:
  Group() {
    const bool version_1 = std::filesystem::is_directory("/sys/fs/cgroup/memory");
    const std::string parent =
        version_1 ? "/sys/fs/cgroup/memory" + own_path("memory") : "/sys/fs/cgroup" + own_path("");
    if (!version_1) write_to(parent + "/cgroup.subtree_control", "+memory");
    folder_ = parent + "/vhostx-unit-test-" + std::to_string(::getpid());
    if (::mkdir(folder_.c_str(), 0755) != 0) return;
    made_ = write_to(folder_ + (version_1 ? "/memory.limit_in_bytes" : "/memory.max"), std::to_string(limit_bytes));
  }
  ~Group() { ::rmdir(folder_.c_str()); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  bool made() const noexcept { return made_; }
  bool enter() const { return write_to(folder_ + "/cgroup.procs", std::to_string(::getpid())); }

 private:
  std::string folder_;
  bool made_ = false;
};

/// What `body` returns, of a child in the group; -1: the kernel ended it.
int in_group(const Group& group, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int result = group.enter() && handle_bus_errors() && guard_first_touches().ok() ? body() : 99;
    if (__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
    ::_exit(result);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// A sparse file and our view of it.
struct Sparse {
  Sparse(std::uint64_t size, std::shared_ptr<TouchBudget> budget) {
    if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return;
    auto mapped = MappedRegion::map({.guest = {0}, .front_end = {0}, .size = size}, UniqueFd(::dup(file.get())), {},
                                    std::move(budget));
    if (mapped) region = std::move(mapped).value();
  }
  volatile std::uint8_t& at(std::uint64_t offset) const { return region->host()[offset]; }
  /// Pages that could be written, at most `count`.
  std::uint64_t fill(std::uint64_t count) const {
    for (std::uint64_t i = 0; i < count; ++i) {
      at(i * page) = 1;
      if (region->lost_at()) return i;
    }
    return count;
  }

  UniqueFd file{::memfd_create("sparse", MFD_CLOEXEC)};
  std::shared_ptr<const MappedRegion> region;
};

class FirstTouchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!group.made()) GTEST_SKIP() << "no control group with a memory limit can be made";
    if (!test::has_userfaultfd()) GTEST_SKIP() << test::no_userfaultfd;
  }
  Group group;
};

TEST_F(FirstTouchTest, TheLimitIsFound) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const auto limit = MemoryLimit::find();
                       if (limit == nullptr || limit->bytes() != limit_bytes) return 1;
                       return limit->room() > limit_bytes / 2 && limit->room() < limit_bytes ? 0 : 2;
                     }),
            0);
}

TEST_F(FirstTouchTest, APageWithRoomIsAllocatedAndIsTheFiles) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const auto budget = make_touch_budget();
                       if (budget == nullptr) return 1;
                       const Sparse sparse(16 * page, budget);
                       if (sparse.at(3 * page + 5) != 0) return 2;  // a read allocates, too
                       sparse.at(3 * page + 5) = 42;
                       std::uint8_t in_file = 0;
                       if (::pread(sparse.file.get(), &in_file, 1, 3 * page + 5) != 1 || in_file != 42) return 3;
                       return sparse.region->lost_at() ? 4 : 0;
                     }),
            0);
}

TEST_F(FirstTouchTest, WithoutRoomTheMemoryIsLostAndTheProcessLives) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const auto budget = make_touch_budget();
                       const Sparse sparse(4 * limit_bytes, budget);
                       const std::uint64_t filled = sparse.fill(4 * limit_bytes / page);
                       if (!sparse.region->lost_at()) return 1;
                       if (sparse.region->no_room_in() != &budget->limit()) return 2;
                       return filled * page > limit_bytes / 4 ? 0 : 3;
                     }),
            0);
}

// The front-end keeps what it was given, and comes back with another file.
TEST_F(FirstTouchTest, OneFileAfterTheOtherIsTheSame) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const auto budget = make_touch_budget();
                       std::array<std::unique_ptr<Sparse>, 8> kept;
                       for (auto& sparse : kept) {
                         sparse = std::make_unique<Sparse>(limit_bytes, budget);
                         sparse->fill(limit_bytes / page);
                       }
                       return kept.back()->region->no_room_in() != nullptr ? 0 : 1;
                     }),
            0);
}

TEST_F(FirstTouchTest, ANeighbourHasItsShareAllTheSame) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const Sparse greedy(4 * limit_bytes, make_touch_budget());
                       greedy.fill(4 * limit_bytes / page);
                       if (greedy.region->no_room_in() == nullptr) return 1;
                       const Sparse neighbour(limit_bytes, make_touch_budget());
                       const std::uint64_t wanted = limit_bytes / 16 / page;
                       return neighbour.fill(wanted) == wanted ? 0 : 2;
                     }),
            0);
}

// A guest that starts again and again frees what it had.
TEST_F(FirstTouchTest, WhatIsFreedMayBeTakenAgain) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const auto budget = make_touch_budget();
                       const Sparse others(limit_bytes, make_touch_budget());
                       others.fill(limit_bytes * 9 / 16 / page);  // less than half is free from here on
                       for (int round = 0; round < 20; ++round) {
                         const Sparse sparse(limit_bytes, budget);
                         const std::uint64_t wanted = limit_bytes / 16 / page;
                         if (sparse.fill(wanted) != wanted) return 1 + round;
                       }
                       return 0;
                     }),
            0);
}

TEST_F(FirstTouchTest, PagesThatTheFrontEndHasAllocatedCostNothing) {
  const UniqueFd allocated(::memfd_create("allocated", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(allocated.get(), static_cast<off_t>(2 * limit_bytes)), 0);
  ASSERT_EQ(::fallocate(allocated.get(), 0, 0, static_cast<off_t>(2 * limit_bytes)), 0);
  EXPECT_EQ(in_group(group,
                     [&] {
                       auto region = MappedRegion::map({.guest = {0}, .front_end = {0}, .size = 2 * limit_bytes},
                                                       UniqueFd(::dup(allocated.get())), {}, make_touch_budget());
                       if (!region) return 1;
                       for (std::uint64_t at = 0; at < 2 * limit_bytes; at += page)
                         static_cast<volatile std::uint8_t*>((*region)->host())[at] = 1;
                       return (*region)->lost_at() ? 2 : 0;
                     }),
            0);
}

TEST_F(FirstTouchTest, AFileThatWasShrunkIsToldApart) {
  EXPECT_EQ(in_group(group,
                     [] {
                       const Sparse sparse(16 * page, make_touch_budget());
                       if (::ftruncate(sparse.file.get(), 4 * page) != 0) return 1;
                       sparse.at(8 * page) = 1;
                       return sparse.region->lost_at() && sparse.region->no_room_in() == nullptr ? 0 : 2;
                     }),
            0);
}

}  // namespace
}  // namespace vhostx::memory
