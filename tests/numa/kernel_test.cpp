// SPDX-License-Identifier: BSD-3-Clause
// The real kernel, on whatever machine this is; machines with several nodes are in tests/lab.
#include <array>
#include <cstring>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/page_memory.hpp"
#include "numa/look.hpp"
#include "numa/move.hpp"

namespace vhostx::test {
namespace {

constexpr std::size_t page = 4096;

TEST(RealKernel, KnowsWhereATouchedPageIs) {
  if (int node = no_node; numa::kernel().node_of(&node, node) != 0) GTEST_SKIP() << "get_mempolicy is not allowed here";
  void* const memory = map_pages(2 * page);
  ASSERT_NE(memory, nullptr);
  std::memset(memory, 1, 2 * page);
  const std::array<MemoryArea, 1> areas{{{reinterpret_cast<std::uintptr_t>(memory), 2 * page}}};
  const auto look = numa::look_at(numa::kernel(), areas);
  EXPECT_EQ(look.error, 0);
  EXPECT_EQ(look.histogram.placed(), 2U);
  const int node = look.histogram.main_node();
  const auto move = numa::move_to(numa::kernel(), areas, node);
  EXPECT_EQ(move.error, 0);
  EXPECT_EQ(move.after.histogram.on(node), look.histogram.placed()) << "what is there stays there";
  EXPECT_EQ(static_cast<char*>(memory)[page], 1);
  unmap_pages(memory, 2 * page);
}

TEST(RealKernel, RefusesANodeThatIsNone) {
  void* const memory = map_pages(page);
  ASSERT_NE(memory, nullptr);
  EXPECT_NE(numa::kernel().move(memory, page, 1'000'000), 0);
  EXPECT_NE(numa::kernel().move(memory, page, -1), 0);
  unmap_pages(memory, page);
}

TEST(RealKernel, ASampleAllocatesNothing) {
  if (int node = no_node; numa::kernel().node_of(&node, node) != 0) GTEST_SKIP() << "get_mempolicy is not allowed here";
  const int file = ::memfd_create("sample", MFD_CLOEXEC);
  ASSERT_GE(file, 0);
  ASSERT_EQ(::ftruncate(file, 4 * page), 0);
  auto* const ours = static_cast<std::uint8_t*>(::mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  auto* const theirs = static_cast<std::uint8_t*>(::mmap(nullptr, 4 * page, PROT_WRITE, MAP_SHARED, file, 0));
  ASSERT_NE(ours, MAP_FAILED);
  ASSERT_NE(theirs, MAP_FAILED);
  theirs[page] = 1;
  const std::array<const std::uint8_t*, 4> pages{ours, ours + page, ours + 2 * page, ours + 3 * page};
  const auto look = numa::look_at(numa::kernel(), pages, numa::Untouched::if_there);
  EXPECT_EQ(look.histogram.placed(), 1U) << "the page that somebody else has touched";
  EXPECT_EQ(look.histogram.absent, 3U);
  struct stat state {};
  ASSERT_EQ(::fstat(file, &state), 0);
  EXPECT_EQ(state.st_blocks * 512, static_cast<blkcnt_t>(page));
  ::munmap(ours, 4 * page);
  ::munmap(theirs, 4 * page);
  ::close(file);
}

}  // namespace
}  // namespace vhostx::test
