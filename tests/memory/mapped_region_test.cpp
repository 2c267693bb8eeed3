// SPDX-License-Identifier: BSD-3-Clause
// What a front-end may say of a region, and what it may not.
#include "memory/mapped_region.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace vhostx::memory {
namespace {

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

UniqueFd file_of(std::size_t size) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

std::string refusal(const RegionDescription& description, UniqueFd file) {
  auto region = MappedRegion::map(description, std::move(file));
  return region ? "mapped" : region.error().message;
}

TEST(MappedRegion, ShowsTheFileFromItsOffset) {
  UniqueFd file = file_of(16384);
  ASSERT_EQ(::pwrite(file.get(), "here", 4, 4096 + 128), 4);
  auto region =
      MappedRegion::map({.guest = {0}, .front_end = {0}, .size = 8192, .mmap_offset = 4096 + 128}, std::move(file));
  ASSERT_TRUE(region) << region.error().message;
  EXPECT_EQ(std::memcmp((*region)->host(), "here", 4), 0);
}

TEST(MappedRegion, OwnsTheFileInEveryCase) {
  UniqueFd good = file_of(4096);
  const int good_number = good.get();
  auto region = MappedRegion::map({.guest = {0}, .front_end = {0}, .size = 4096}, std::move(good));
  ASSERT_TRUE(region);
  EXPECT_EQ(::fcntl(good_number, F_GETFD), -1);

  UniqueFd bad = file_of(4096);
  const int bad_number = bad.get();
  EXPECT_FALSE(MappedRegion::map({.guest = {0}, .front_end = {0}, .size = 0}, std::move(bad)));
  EXPECT_EQ(::fcntl(bad_number, F_GETFD), -1);
}

// The kernel says EFAULT instead of SIGSEGV when it is asked to read there.
bool is_guard(const std::uint8_t* byte) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const bool refused = ::write(ends[1], byte, 1) == -1 && errno == EFAULT;
  ::close(ends[0]);
  ::close(ends[1]);
  return refused;
}

TEST(MappedRegion, AFileThatMayNotBeWrittenIsNone) {
  UniqueFd file(::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(file.get(), 8192), 0);
  ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(refusal({.guest = {0}, .front_end = {0}, .size = 8192}, std::move(file)),
            "mapping 0x2000 bytes at file offset 0x0 (page size 0x1000): Operation not permitted");
}

TEST(MappedRegion, LiesBetweenGuardPages) {
  auto region = MappedRegion::map({.guest = {0}, .front_end = {0}, .size = 8192}, file_of(8192));
  ASSERT_TRUE(region);
  EXPECT_FALSE(is_guard((*region)->host()));
  EXPECT_FALSE(is_guard((*region)->host() + 8191));
  EXPECT_TRUE(is_guard((*region)->host() + 8192));
  EXPECT_TRUE(is_guard((*region)->host() - 1));
}

TEST(MappedRegion, LargeRegionsLieAsInTheirFile) {
  constexpr std::uint64_t large = std::uint64_t{2} << 20;
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{0xc0000}, std::uint64_t{4096 + 128}, large}) {
    auto region = MappedRegion::map({.size = 2 * large, .mmap_offset = offset}, file_of(4 * large));
    ASSERT_TRUE(region) << region.error().message;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*region)->host()) % large, offset % large);
    EXPECT_EQ((*region)->mapping().data, (*region)->host() - offset % 4096);
    EXPECT_EQ((*region)->mapping().size, 2 * large + (offset % 4096 == 0 ? 0 : 4096));
    EXPECT_TRUE(is_guard((*region)->mapping().data - 1));
    EXPECT_TRUE(is_guard((*region)->mapping().data + (*region)->mapping().size));
  }
}

TEST(MappedRegion, RefusesNumbersThatCannotBe) {
  EXPECT_NE(refusal({.size = 0}, file_of(4096)).find("size is 0"), std::string::npos);
  EXPECT_NE(refusal({.guest = {top - 4094}, .size = 4096}, file_of(4096)).find("guest address"), std::string::npos);
  EXPECT_NE(refusal({.front_end = {top - 4094}, .size = 4096}, file_of(4096)).find("front-end"), std::string::npos);
  EXPECT_NE(refusal({.size = 4096, .mmap_offset = top - 4094}, file_of(4096)).find("offset"), std::string::npos);
  EXPECT_NE(refusal({.size = std::uint64_t{1} << 63}, file_of(4096)).find("its file has 0x1000"), std::string::npos);
  // The last byte of the address space is a legal one.
  EXPECT_EQ(refusal({.guest = {top - 4095}, .size = 4096}, file_of(4096)), "mapped");
}

TEST(MappedRegion, RefusesAFileThatIsTooSmall) {
  EXPECT_EQ(refusal({.size = 8192}, file_of(8192)), "mapped");
  EXPECT_NE(refusal({.size = 8192}, file_of(8191)).find("its file has 0x1fff"), std::string::npos);
  EXPECT_NE(refusal({.size = 8192, .mmap_offset = 4096}, file_of(8192)), "mapped");
}

TEST(MappedRegion, RefusesWhatIsNoMemory) {
  const RegionDescription page{.size = 4096};
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(::pipe(pipe_ends.data()), 0);
  ::close(pipe_ends[1]);
  EXPECT_NE(refusal(page, UniqueFd(pipe_ends[0])).find("is a pipe, expected a file"), std::string::npos);
  EXPECT_NE(refusal(page, UniqueFd(::open("/dev/zero", O_RDWR))).find("character device"), std::string::npos);
  EXPECT_NE(refusal(page, UniqueFd(::open("/", O_RDONLY | O_DIRECTORY))).find("directory"), std::string::npos);
  EXPECT_NE(refusal(page, UniqueFd(::eventfd(0, 0))).find("eventfd"), std::string::npos);
  EXPECT_NE(refusal(page, UniqueFd(::socket(AF_UNIX, SOCK_STREAM, 0))).find("socket"), std::string::npos);
  EXPECT_NE(refusal(page, UniqueFd()).find("closed"), std::string::npos);
}

}  // namespace
}  // namespace vhostx::memory
